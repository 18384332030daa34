// What the machine's names mean to the person who reads the page.

/** Onboarding steps in the order in which the server runs them. */
export const STEPS = {
  token_stored: 'Access stored safely',
  grant_verified: 'Account and number checked',
  app_subscribed: 'Message delivery switched on',
  system_user_assigned: 'Access for our team set up',
  credit_shared: 'Billing set up',
  pin_stored: 'PIN stored safely',
  phone_registered: 'Number registered for messaging',
  details_read: 'Name and quality read',
  active: 'Ready for messages',
};

/** Words for a step's state, read aloud and shown beside it. */
export const STATES = {
  pending: 'waiting',
  intended: 'in progress',
  done: 'done',
  failed: 'needs attention',
  skipped: 'not needed',
};

/**
 * Screens of Embedded Signup as `current_step` names them in a CANCEL event.
 * Source: Meta, Embedded Signup > Errors (24 Feb 2026). Later versions have more; those show as they are.
 */
const SCREENS = {
  BUSINESS_ACCOUNT_SELECTION: 'choosing your business portfolio',
  WABA_PHONE_PROFILE_PICKER: 'choosing your WhatsApp account',
  WHATSAPP_BUSINESS_PROFILE_SETUP: 'creating your WhatsApp account',
  PHONE_NUMBER_SETUP: 'entering your phone number',
  PHONE_NUMBER_VERIFICATION: 'verifying your phone number',
  PERMISSIONS: 'reviewing the permissions',
};

/** Codes after which the same signup cannot go on: only a new one helps. */
const SPENT = new Set([
  'expired', 'onboarding_expired', 'onboarding_not_found', 'not_found', 'code_spent', 'code_expired',
]);

/** The code of a wrong two-step PIN: the person must tell us the right one. */
export const PIN_MISMATCH = 'pin_mismatch';

/** Sentences for codes that arrive without one. */
const CAUSES = {
  pin_mismatch: 'The number is protected by a PIN that we do not know.',
  number_in_use: 'This number is already connected to another account.',
};

/** The screen that a person left, in words; unknown names are made readable, not hidden. */
export function screenName(step) {
  return SCREENS[step] ?? humanise(step);
}

/** Whether a problem's or cause's code means that the person must sign up again. */
export function needsNewSignup(code) {
  return SPENT.has(code);
}

/**
 * Why a step failed as `{code, text, action, turn}`: `turn` is `ours` where the server tries again by
 * itself. The cause is an object with a sentence, or only a code; each is shown in words.
 */
export function causeOf({ cause, action, turn }) {
  const known = typeof cause === 'object' && cause !== null ? cause : { code: cause ?? '' };
  return {
    code: known.code ?? '',
    text: known.detail || sentenceFor(known.code),
    action: action || known.action || '',
    turn: turn ?? known.turn,
  };
}

function sentenceFor(code) {
  if (!code) return 'This step did not work.';
  return CAUSES[code] ?? (code.includes(' ') ? code : `${humanise(code)}.`);
}

function humanise(name) {
  const words = String(name ?? 'unknown').toLowerCase().replaceAll('_', ' ').trim();
  return words.charAt(0).toUpperCase() + words.slice(1);
}
