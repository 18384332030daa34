// The simulated Embedded Signup v4 window: a few screens, then the messages that Meta's window sends.

const query = new URLSearchParams(location.search);
const asked = {
  appId: query.get('app_id') ?? '',
  configId: query.get('config_id') ?? '',
  origin: query.get('origin') ?? '',
};

/** The name of each screen in a CANCEL event. Source: Meta, Embedded Signup > Errors (24 Feb 2026). */
const STEP_NAMES = {
  business: 'BUSINESS_ACCOUNT_SELECTION',
  number: 'PHONE_NUMBER_SETUP',
  permissions: 'PERMISSIONS',
  reported: 'PHONE_NUMBER_SETUP',
};
const SCREENS = ['business', 'number', 'permissions', 'final'];
/** "Phone number creation failed" in Meta's table of signup errors. */
const FAILURE_CODE = 2593035;
/** A code lives 30 seconds; the last screen ends before that. */
const FINAL_MS = 20_000;
/** Between the two messages, so that a page which needs one order is found out. */
const GAP_MS = 700;

const element = (id) => document.getElementById(id);
const value = (id) => element(id).value.trim();

let screen = '';
/** What the simulator answered at the end: `{code, event, data}`. */
let outcome = null;
/** Whether the opener was told how it ended. */
let told = false;

element('display-phone-number').value = inventedNumber();
prefill();
element('flow').addEventListener('submit', (event) => { event.preventDefault(); next(); });
element('back').addEventListener('click', () => go(previous()));
element('cancel').addEventListener('click', () => { cancel(); window.close(); });
element('number-state').addEventListener('change', showNumberFields);
element('scenario').addEventListener('change', showNumberFields);
// Closing the window says the same as its buttons: on the last screen it finishes, before it cancels.
window.addEventListener('pagehide', () => (outcome ? deliverNow() : cancel()));
await begin();

async function begin() {
  if (!window.opener) return breakOff('This window must be opened by FB.login.');
  if (query.get('response_type') !== 'code') {
    return breakOff('Business tokens need response_type "code" and override_default_response_type true.');
  }
  const session = await post('/_popup/session', asked);
  if (session.failed) return breakOff(session.message);
  if (session.appName) element('app-name').textContent = session.appName;
  showNumberFields();
  go('business');
}

/** Fills in what the page passed in `extras`; as in v4, no screen is skipped. */
function prefill() {
  let extras = {};
  try {
    extras = JSON.parse(query.get('extras') ?? '{}') ?? {};
  } catch {
    // Meta ignores what it cannot read.
  }
  const business = extras.setup?.business?.name;
  if (business) element('business-name').value = business;
  const name = extras.setup?.phone?.displayName;
  if (name) element('verified-name').value = name;
  if (extras.featureType === 'whatsapp_business_app_onboarding') element('scenario').value = 'coexistence';
}

function go(name) {
  screen = name;
  for (const section of document.querySelectorAll('[data-screen]')) {
    section.hidden = section.dataset.screen !== name;
  }
  const at = SCREENS.indexOf(name);
  element('stage').textContent = at < 0 ? '' : `Step ${at + 1} of ${SCREENS.length}`;
  element('error').textContent = '';
  element('cancel').hidden = !(name in STEP_NAMES);
  element('back').hidden = !['number', 'permissions'].includes(name);
  element('next').textContent = { permissions: 'Confirm', final: 'Finish', reported: 'Report and close' }[name] ?? 'Next';
  element('next').hidden = name === 'broken';
  document.querySelector(`[data-screen="${name}"] h1`).focus();
}

function previous() {
  return SCREENS[SCREENS.indexOf(screen) - 1];
}

async function next() {
  if (!isFilledIn()) return;
  switch (screen) {
    case 'business':
      return go('number');
    case 'number':
      return value('scenario') === 'error' ? showFailure() : review();
    case 'permissions':
      return complete();
    case 'reported':
      reportFailure();
      return window.close();
    default:
      return finish();
  }
}

function isFilledIn() {
  const fields = document.querySelectorAll(`[data-screen="${screen}"] input`);
  const wrong = [...fields].find((field) => field.offsetParent && !field.checkValidity());
  element('error').textContent = wrong ? `${wrong.labels[0].textContent}: please fill in correctly.` : '';
  wrong?.focus();
  return !wrong;
}

/** Without a number, and for a number of the Business app, some fields have no meaning. */
function showNumberFields() {
  const coexistence = value('scenario') === 'coexistence';
  if (coexistence) element('number-state').value = 'verified';
  element('number-state').disabled = coexistence;
  element('number-fields').hidden = value('number-state') === 'none';
}

function review() {
  const none = value('number-state') === 'none';
  describe('review', {
    Business: value('business-name'),
    Number: none ? 'none' : value('display-phone-number'),
    Name: none ? '' : value('verified-name'),
  });
  go('permissions');
}

/** Completes when the last screen opens, so that closing the window needs no network. */
async function complete() {
  element('next').disabled = true;
  const answer = await post('/_popup/complete', { ...asked, ...choices() });
  element('next').disabled = false;
  if (answer.failed) {
    element('error').textContent = answer.message;
    return;
  }
  outcome = answer;
  go('final');
  setTimeout(finish, FINAL_MS);
}

function choices() {
  const numberState = value('number-state');
  const business = { event: eventName(numberState), businessName: value('business-name'), numberState };
  if (numberState === 'none') return business;
  return {
    ...business,
    displayPhoneNumber: value('display-phone-number'),
    verifiedName: value('verified-name'),
    twoStepPin: value('two-step-pin') || undefined,
  };
}

function eventName(numberState) {
  if (value('scenario') === 'coexistence') return 'FINISH_WHATSAPP_BUSINESS_APP_ONBOARDING';
  return numberState === 'none' ? 'FINISH_ONLY_WABA' : 'FINISH';
}

/** Tells the page in the chosen order, with a gap, and closes. */
function finish() {
  if (told) return;
  const [first, second] = messages();
  told = true;
  element('next').disabled = true;
  first();
  setTimeout(() => { second(); window.close(); }, GAP_MS);
}

/** The same without a gap, for a window that is going away. */
function deliverNow() {
  if (told) return;
  told = true;
  for (const send of messages()) send();
}

function messages() {
  const event = () => tell(outcome.event, outcome.data);
  const code = () => send({ type: 'sim-login', code: outcome.code });
  const nothing = () => {};
  return { 'event-first': [event, code], 'code-first': [code, event], 'no-event': [nothing, code] }[value('order')];
}

function cancel() {
  if (told || !(screen in STEP_NAMES)) return;
  told = true;
  tell('CANCEL', { current_step: STEP_NAMES[screen] });
}

const failure = {
  error_message: 'Your phone number could not be added.',
  error_code: FAILURE_CODE,
  session_id: crypto.randomUUID(),
};

function showFailure() {
  describe('failure', { Code: failure.error_code, Session: failure.session_id });
  go('reported');
}

function reportFailure() {
  told = true;
  tell('CANCEL', { ...failure, timestamp: String(Math.floor(Date.now() / 1000)) });
}

/** A signup event as Meta sends it: a JSON string, among messages that are none. */
function tell(event, data) {
  send('cb=simulated&domain=none&frame=none');
  send(JSON.stringify({ type: 'WA_EMBEDDED_SIGNUP', event, data, version: 3 }));
}

function send(message) {
  window.opener?.postMessage(message, asked.origin);
}

function breakOff(message) {
  element('broken-message').textContent = message;
  go('broken');
}

async function post(path, body) {
  try {
    const response = await fetch(path, {
      method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body),
    });
    const answer = await response.json();
    return response.ok ? answer : { failed: true, message: answer.message ?? `The simulator answered ${response.status}.` };
  } catch {
    return { failed: true, message: 'The simulator did not answer.' };
  }
}

function describe(id, facts) {
  const rows = Object.entries(facts).filter(([, fact]) => fact);
  element(id).replaceChildren(...rows.flatMap(([name, fact]) => [part('dt', name), part('dd', fact)]));
}

function part(tag, text) {
  const made = document.createElement(tag);
  made.textContent = text;
  return made;
}

/** Another number for each signup: one that is active elsewhere would be refused. */
function inventedNumber() {
  const digits = String(crypto.getRandomValues(new Uint32Array(1))[0] % 10_000_000).padStart(7, '0');
  return `+1 555-${digits.slice(0, 3)}-${digits.slice(3)}`;
}
