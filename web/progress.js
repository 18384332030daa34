// The list of steps, and the loop that keeps it true while the server works.

import { pause } from './api.js';
import { STATES, STEPS, causeOf } from './words.js';

/** How long the page asks every second before it asks less often and says that it takes long. */
const EAGER_MS = 60_000;
const EAGER_PAUSE_MS = 1000;
const PATIENT_PAUSE_MS = 5000;

const element = (id) => document.getElementById(id);

/** Shows the steps of an onboarding; `steps` may be incomplete or hold names that are new to this page. */
export function showSteps(steps = []) {
  const known = new Map(steps.map((step) => [step.name, step]));
  const names = [...Object.keys(STEPS), ...[...known.keys()].filter((name) => !(name in STEPS))];
  const list = element('steps');
  for (const name of names) showStep(list, known.get(name) ?? { name, state: 'pending' });
  const settled = [...list.children].filter((item) => ['done', 'skipped'].includes(item.dataset.state)).length;
  element('bar').max = names.length;
  element('bar').value = settled;
  announce(list, settled);
}

/** Empties the list before another onboarding. */
export function clearSteps() {
  element('steps').replaceChildren();
  element('announce').textContent = '';
  element('patience').hidden = true;
}

/**
 * Asks for the state again and again until `isOver(state)` or `signal` ends it; each answer goes to
 * `onState`. A lost answer is asked for again; a refusal is thrown.
 */
export async function follow(api, onboardingId, { onState, isOver, signal }) {
  const eagerUntil = performance.now() + EAGER_MS;
  while (!signal.aborted) {
    try {
      const state = await api.state(onboardingId, signal);
      if (signal.aborted) return;
      onState(state);
      if (isOver(state)) return;
    } catch (error) {
      if (signal.aborted) return;
      if (!error.retryable) throw error;
    }
    const eager = performance.now() < eagerUntil;
    element('patience').hidden = eager;
    await pause(eager ? EAGER_PAUSE_MS : PATIENT_PAUSE_MS);
  }
}

function showStep(list, step) {
  const item = list.querySelector(`[data-step="${CSS.escape(step.name)}"]`) ?? newItem(list, step.name);
  item.dataset.state = step.state;
  item.querySelector('.state').textContent = STATES[step.state] ?? step.state;
  item.querySelector('.cause').textContent = step.state === 'failed' ? causeOf(step).text : '';
  if (step.state === 'intended') item.setAttribute('aria-current', 'step');
  else item.removeAttribute('aria-current');
}

function newItem(list, name) {
  const item = document.createElement('li');
  item.dataset.step = name;
  item.append(part('name', STEPS[name] ?? name.replaceAll('_', ' ')), part('state', ''), part('cause', ''));
  list.append(item);
  return item;
}

function part(className, text) {
  const span = document.createElement('span');
  span.className = className;
  span.textContent = text;
  return span;
}

/** One sentence for screen readers, changed only when the count does. */
function announce(list, settled) {
  const text = `${settled} of ${list.children.length} steps done.`;
  if (element('announce').textContent !== text) element('announce').textContent = text;
}
