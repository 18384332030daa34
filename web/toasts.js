// Short notices in the corner. The region is `aria-live`, so they are read aloud once.

const SHOWN_MS = 9000;

/** Shows a notice for some seconds; a click or tap removes it sooner. */
export function toast(text, tone = 'plain') {
  const note = document.createElement('p');
  note.className = `toast ${tone}`;
  note.textContent = text;
  note.addEventListener('click', () => note.remove());
  document.getElementById('toasts').append(note);
  setTimeout(() => note.remove(), SHOWN_MS);
}
