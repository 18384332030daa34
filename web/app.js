// The signup page: from the button to the connected number.
//
// Facebook answers over two channels, the login callback (the code) and window messages (the ids), in either
// order. The code lives 30 seconds, so it is exchanged at once; the ids are waited for afterwards and may
// never come: the server then finds them by itself.

import { Api, Problem, pause } from './api.js';
import { Credential } from './credential.js';
import * as panels from './panels.js';
import { clearSteps, follow, showSteps } from './progress.js';
import { listen, loadSdk, openSignup } from './signup.js';
import { toast } from './toasts.js';

const IDS_WAIT_MS = 10_000;
const RUN_TRIES = 3;

const element = (id) => document.getElementById(id);

const botId = /^\/chatbot\/([A-Za-z0-9_-]{1,64})\/integration\/?$/.exec(location.pathname)?.[1];
const credential = new Credential(botId);
const api = new Api(credential);

/** The onboarding of this tab, `{onboardingId, claims}`; survives a reload. */
const memory = {
  key: `switchboard.onboarding.${botId}`,
  get value() { return JSON.parse(sessionStorage.getItem(this.key) ?? 'null'); },
  set value(onboarding) { sessionStorage.setItem(this.key, JSON.stringify(onboarding)); },
  clear() { sessionStorage.removeItem(this.key); },
};

let attempt = newAttempt();
/** Ends the polling of the current run. */
let watch = new AbortController();
let busy = false;

await main().catch((error) => fail(error, 'reload'));

async function main() {
  const config = await readConfig();
  if (config.returnUrl) element('back').href = config.returnUrl;
  if (!botId || !(await credential.ensure(config.tokenUrl))) return askForAccount();
  wire(config);
  const known = memory.value;
  if (!known) panels.show('start');
  await Promise.all([prepare(config), known && resume(known)]);
}

async function readConfig() {
  const response = await fetch('/config.json', { cache: 'no-store' }).catch(() => null);
  if (response?.ok) return response.json();
  throw new Problem({
    title: 'The page could not start',
    detail: 'Its settings did not load.',
    action: 'Check your internet connection, then load the page again.',
  });
}

function askForAccount() {
  panels.showProblem({
    title: 'Please open this page from your account',
    detail: 'This page does not know which account you want to connect.',
    action: 'Go back to your account and choose "Connect WhatsApp" there.',
  });
}

function wire(config) {
  listen(config.eventOrigin, (event) => onEvent(event));
  element('continue').addEventListener('click', () => begin(config));
  element('retry-form').addEventListener('submit', (event) => {
    event.preventDefault();
    const pin = panels.typedPin();
    if (pin !== null) guarded(() => run(memory.value, pin), 'retry');
  });
  element('restart').addEventListener('click', startAgain);
  element('another').addEventListener('click', startAgain);
  element('reload').addEventListener('click', () => location.reload());
}

/** The button works only once the SDK is there: the window must open within the click itself. */
async function prepare(config) {
  try {
    await loadSdk(config);
    element('continue').disabled = false;
  } catch {
    if (element('start').hidden) return;
    panels.showProblem({
      title: 'Facebook could not be loaded',
      detail: 'A content blocker or the network keeps this page from loading Facebook’s signup.',
      action: 'Allow it for this page, then load the page again.',
      next: 'reload',
    });
  }
}

function newAttempt() {
  const made = { event: null };
  made.claims = new Promise((resolve) => { made.resolve = resolve; });
  return made;
}

function begin(config) {
  if (busy) return;
  attempt = newAttempt();
  panels.hideProblem();
  panels.hint('Go on in the Facebook window. If you cannot see it, press the button again.');
  const mine = attempt;
  openSignup(config.configId, (code) => onEnd(mine, code));
}

/** A message of the signup window. */
function onEvent(event) {
  attempt.event = event;
  if (event.kind === 'finished') attempt.resolve(event.claims);
  else if (!busy) leave(event);
}

/** The login callback. A code counts whichever attempt it came from; its absence only for the newest. */
function onEnd(mine, code) {
  if (code) guarded(() => connect(mine, code), 'restart');
  else if (mine === attempt && !busy) leave(mine.event);
}

function leave(event) {
  panels.hint('');
  panels.showUnfinished(event);
}

/** Exchanges the code, waits for the ids, and runs the onboarding. */
async function connect(mine, code) {
  panels.hint('Connecting your account …');
  const { onboardingId } = await api.exchange(code, botId);
  toast('WhatsApp Business Account connected!', 'good');
  memory.value = { onboardingId };
  showProgress(onboardingId);
  const claims = await Promise.race([mine.claims, attempt.claims, pause(IDS_WAIT_MS)]);
  memory.value = { onboardingId, claims };
  toast('Completing onboarding steps...');
  try {
    await run(memory.value);
  } catch (error) {
    fail(error, 'retry');
  }
}

/** Shows an onboarding that this tab began before a reload, and goes on with it. */
async function resume(known) {
  showProgress(known.onboardingId);
  await guarded(async () => {
    const state = await api.state(known.onboardingId);
    if (state.status === 'open') await run(known);
    else present(state);
  }, 'retry');
}

/**
 * Calls onboard-client and shows the steps while it works. Calling it again continues, so a lost answer is
 * simply asked for again. Whatever is still open afterwards is followed until it ends.
 */
async function run({ onboardingId, claims }, pin = undefined) {
  watch.abort();
  watch = new AbortController();
  const { signal } = watch;
  panels.show('progress');
  element('progress-title').focus();
  const during = new AbortController();
  signal.addEventListener('abort', () => during.abort());
  // A refusal is the business of the call itself, not of the picture of it.
  follow(api, onboardingId, { onState: showState, isOver: () => false, signal: during.signal }).catch(() => {});
  const state = await onboard(onboardingId, { ...claims, pin }).finally(() => during.abort());
  settle(state);
  if (state.status === 'open') {
    follow(api, onboardingId, { onState: settle, isOver: ({ status }) => status !== 'open', signal })
      .catch((error) => fail(error, 'retry'));
  }
}

async function onboard(onboardingId, facts) {
  for (let tries = 1; ; tries += 1) {
    try {
      return await api.onboard(onboardingId, facts);
    } catch (problem) {
      if (!problem.retryable || tries === RUN_TRIES) throw problem;
      await pause(1000);
    }
  }
}

function showProgress(onboardingId) {
  clearSteps();
  showSteps();
  element('progress-title').textContent = 'Setting up your number';
  element('reference').textContent = onboardingId;
  panels.show('progress');
}

function showState(state) {
  showSteps(state.steps);
}

/** Shows a state that a run led to, and says so when it is the good end. */
function settle(state) {
  if (state.status === 'active') toast('Client onboarded successfully!', 'good');
  present(state);
}

/** Shows a state and what it asks of the person. */
function present(state) {
  showState(state);
  if (state.status === 'active') {
    panels.showClient(state.client);
  } else if (state.status === 'expired') {
    panels.showProblem({
      title: 'This signup has expired',
      detail: 'It was not finished in time.',
      action: 'Start again with Facebook.',
      next: 'restart',
    });
  } else if (state.status === 'failed' || state.steps?.some((step) => step.state === 'failed')) {
    panels.showFailure(state);
  } else {
    panels.hideProblem();
  }
}

function startAgain() {
  watch.abort();
  memory.clear();
  attempt = newAttempt();
  panels.hint('');
  panels.show('start');
  element('continue').focus();
}

/** Runs one thing at a time; what it throws is shown with this way on. */
async function guarded(work, next) {
  if (busy) return;
  busy = true;
  document.body.setAttribute('aria-busy', 'true');
  try {
    await work();
  } catch (error) {
    fail(error, next);
  } finally {
    busy = false;
    document.body.removeAttribute('aria-busy');
  }
}

function fail(error, next) {
  if (!(error instanceof Problem)) console.error(error);
  panels.hint('');
  const known = error instanceof Problem ? error : new Problem({
    title: 'Something went wrong', detail: 'This page made a mistake.', action: 'Load the page again.',
  });
  panels.showApiProblem(known, error instanceof Problem ? next : 'reload');
}
