// Meta's side of the page: its SDK, and what the Embedded Signup window tells us.

/** Loads the SDK once; the promise ends when `FB.login` can be called. */
export function loadSdk({ sdkUrl, appId, graphVersion }) {
  return new Promise((resolve, reject) => {
    const ready = () => {
      window.FB.init({ appId, autoLogAppEvents: true, xfbml: false, version: graphVersion });
      resolve();
    };
    // The SDK calls this when it has loaded, which may be after the script's own load event.
    window.fbAsyncInit = ready;
    const script = document.createElement('script');
    script.src = sdkUrl;
    script.async = true;
    script.onerror = () => { script.remove(); reject(new Error('the SDK did not load')); };
    document.head.append(script);
  });
}

/**
 * Opens the signup window; must run inside a click handler, or the browser blocks it.
 * `onEnd` gets the code, or null if the window closed without one.
 */
export function openSignup(configId, onEnd) {
  window.FB.login((response) => onEnd(response?.authResponse?.code ?? null), {
    config_id: configId,
    response_type: 'code',
    // Without this, `response_type` is ignored (Meta, Facebook Login for Business).
    override_default_response_type: true,
    extras: { setup: {} },
  });
}

/** Calls `onEvent` with each understood signup event that comes from Meta. Returns the way to stop. */
export function listen(eventOrigin, onEvent) {
  const receive = (message) => {
    if (!isFromMeta(message.origin, eventOrigin)) return;
    const event = parse(message.data);
    if (event) onEvent(event);
  };
  window.addEventListener('message', receive);
  return () => window.removeEventListener('message', receive);
}

/**
 * Whether an origin is Meta's. A configured origin (a simulator's) must match exactly; otherwise it is
 * https and facebook.com or below. Comparing the end of the string, as samples do, also lets in
 * `https://notfacebook.com`.
 */
export function isFromMeta(origin, eventOrigin) {
  if (eventOrigin) return origin === eventOrigin;
  try {
    const { protocol, hostname } = new URL(origin);
    return protocol === 'https:' && (hostname === 'facebook.com' || hostname.endsWith('.facebook.com'));
  } catch {
    return false;
  }
}

/**
 * A signup event as `{kind: 'finished' | 'left' | 'error', …}`, or null for anything else: the same origin
 * also sends messages that are none of ours. The ids are claims; the server checks them.
 */
export function parse(data) {
  let message;
  try {
    message = JSON.parse(data);
  } catch {
    return null;
  }
  if (message?.type !== 'WA_EMBEDDED_SIGNUP' || typeof message.event !== 'string') return null;
  const facts = message.data ?? {};
  if (message.event.startsWith('FINISH')) return finished(message.event, facts);
  const reported = facts.error_message ?? facts.error_code;
  if (message.event === 'ERROR' || (message.event === 'CANCEL' && reported !== undefined)) return failed(facts);
  if (message.event === 'CANCEL') return { kind: 'left', step: facts.current_step };
  return null;
}

function finished(event, facts) {
  return {
    kind: 'finished',
    claims: {
      event,
      wabaId: id(facts.waba_id ?? facts.waba_ids?.[0]),
      phoneNumberId: id(facts.phone_number_id),
      businessId: id(facts.business_id),
    },
  };
}

function failed(facts) {
  return {
    kind: 'error',
    message: facts.error_message ?? 'Facebook reported an error without a description.',
    facts: { Code: facts.error_code, Session: facts.session_id, Time: timeOf(facts.timestamp) },
  };
}

/** Ids are opaque strings that Meta sometimes sends as numbers. Undefined ones vanish in JSON. */
function id(value) {
  return value === undefined || value === null ? undefined : String(value);
}

/** Unix seconds, as a string or a number, in a form that support can search for. */
function timeOf(seconds) {
  const time = new Date(Number(seconds) * 1000);
  return seconds && !Number.isNaN(time.valueOf()) ? time.toISOString() : undefined;
}
