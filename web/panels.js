// What of the page is visible, and where the focus goes.

import { PIN_MISMATCH, causeOf, needsNewSignup, screenName } from './words.js';

const PANELS = ['start', 'progress', 'done', 'problem'];

const element = (id) => document.getElementById(id);

/** Shows these panels and hides the others. */
export function show(...names) {
  for (const name of PANELS) element(name).hidden = !names.includes(name);
}

/** The quiet line below the button. */
export function hint(text) {
  element('hint').textContent = text;
}

/**
 * Shows what went wrong. `next` says what the person can do: `retry`, `restart`, `reload`, or nothing here;
 * `calm` is for news that is no failure.
 * The focus moves there once, not on each repetition of the same news.
 */
export function showProblem({ title, detail, action = '', facts = {}, next = '', pin = false, calm = false }) {
  const panel = element('problem');
  const news = JSON.stringify([title, detail, action, pin]);
  if (!panel.hidden && panel.dataset.news === news) return;
  panel.dataset.news = news;
  panel.classList.toggle('calm', calm);
  element('problem-title').textContent = title;
  element('problem-detail').textContent = detail;
  element('problem-action').textContent = action;
  showFacts(facts);
  element('retry-form').hidden = next !== 'retry';
  element('restart').hidden = next !== 'restart';
  element('reload').hidden = next !== 'reload';
  element('pin-field').hidden = !pin;
  element('pin-error').textContent = '';
  panel.hidden = false;
  element(pin ? 'pin' : 'problem-title').focus();
}

/** Takes the problem away, for example when the next try begins. */
export function hideProblem() {
  element('problem').hidden = true;
}

/** The PIN that was typed: undefined if none is asked for, null (and a message) if it is not six digits. */
export function typedPin() {
  if (element('pin-field').hidden) return undefined;
  const pin = element('pin').value.trim();
  const valid = /^[0-9]{6}$/.test(pin);
  element('pin').setAttribute('aria-invalid', String(!valid));
  element('pin-error').textContent = valid ? '' : 'Enter the six digits of the PIN.';
  if (valid) element('pin').value = '';
  else element('pin').focus();
  return valid ? pin : null;
}

/** Shows an error of the API. */
export function showApiProblem(problem, next) {
  const fresh = needsNewSignup(problem.code);
  showProblem({
    title: problem.title ?? 'Something went wrong',
    detail: problem.detail ?? 'This page could not go on.',
    action: problem.action,
    facts: { 'Error of Meta': problem.meta?.code, Trace: problem.meta?.fbtraceId },
    next: problem.status === 401 ? '' : fresh ? 'restart' : next,
  });
}

/**
 * Shows the step that failed, in words, with a field for the PIN if that is what is missing. A failed
 * onboarding, unlike an open one with a failed step, has ended: only a new signup helps.
 */
export function showFailure(state) {
  const step = state.steps?.find((one) => one.state === 'failed');
  const { code, text, action, turn } = step ? causeOf(step) : { code: '', text: 'The setup stopped.', action: '' };
  const fresh = state.status === 'failed' || needsNewSignup(code);
  const pin = !fresh && code === PIN_MISMATCH;
  showProblem({
    title: failureTitle({ fresh, pin, turn }),
    detail: text,
    action: action || (fresh ? 'Start again with Facebook.' : 'Try again.'),
    next: fresh ? 'restart' : 'retry',
    pin,
    calm: turn === 'ours' && !fresh,
  });
}

function failureTitle({ fresh, pin, turn }) {
  if (fresh) return 'This signup cannot go on';
  if (pin) return 'The PIN of this number is needed';
  return turn === 'ours' ? 'One step has to wait' : 'One step needs attention';
}

/** Shows how the signup window ended without success. */
export function showUnfinished(event) {
  if (event?.kind === 'error') {
    showProblem({
      title: 'Facebook reported a problem',
      detail: event.message,
      action: 'Continue to try again. If it comes back, give these details to support.',
      facts: event.facts,
    });
    return;
  }
  const where = event?.step ? `You left while ${lower(screenName(event.step))}.` : 'The Facebook window was closed.';
  showProblem({
    title: 'Not finished yet',
    detail: `${where} Nothing was connected.`,
    action: 'Continue with Facebook whenever you are ready.',
    calm: true,
  });
}

/** Shows the connected client. A signup may end without a number. */
export function showClient(client = {}) {
  const number = client.displayPhoneNumber;
  element('done-title').textContent = number ? 'Your number is connected' : 'Your account is connected';
  element('done-number').textContent = number ?? '';
  element('done-name').textContent = number
    ? client.verifiedName ?? client.clientName ?? ''
    : 'It has no phone number yet. Add one in WhatsApp Manager to send messages.';
  element('progress-title').textContent = 'What was set up';
  show('done', 'progress');
  element('done-title').focus();
}

function showFacts(facts) {
  const list = element('problem-facts');
  const known = Object.entries(facts).filter(([, value]) => value !== undefined && value !== null);
  list.replaceChildren(...known.flatMap(([name, value]) => [pair('dt', name), pair('dd', String(value))]));
  list.hidden = known.length === 0;
}

function pair(tag, text) {
  const part = document.createElement(tag);
  part.textContent = text;
  return part;
}

function lower(words) {
  return words.charAt(0).toLowerCase() + words.slice(1);
}
