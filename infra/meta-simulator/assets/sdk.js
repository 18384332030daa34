// A stand-in for Meta's JavaScript SDK: just enough of `FB.init` and `FB.login` to open the simulated
// Embedded Signup window and to hand back its code. A classic script, as Meta's is.
(() => {
  'use strict';

  const simulator = new URL(document.currentScript.src).origin;
  const WATCH_MS = 200;
  /** How long after the window closed a message that it sent may still be on its way. */
  const LATE_MS = 500;
  let settings = null;

  function init(options) {
    settings = options;
  }

  /** Opens the window. `callback` gets `{authResponse: {code}, status}`, or no `authResponse` if it closed. */
  function login(callback, options = {}) {
    if (!settings?.appId) {
      console.error('FB.login() called before FB.init().');
      return;
    }
    const popup = window.open(dialogAddress(options), 'simulated-signup', 'popup,width=560,height=760');
    if (!popup) {
      callback({ authResponse: null, status: 'unknown' });
      return;
    }
    waitFor(popup, callback);
  }

  function dialogAddress(options) {
    const address = new URL('/dialog/oauth', simulator);
    const asked = {
      app_id: settings.appId,
      config_id: options.config_id ?? '',
      origin: location.origin,
      // As at Meta, the response type counts only together with the override.
      response_type: options.override_default_response_type === true ? options.response_type ?? '' : 'token',
      extras: JSON.stringify(options.extras ?? {}),
    };
    for (const [name, value] of Object.entries(asked)) address.searchParams.set(name, value);
    return address.href;
  }

  function waitFor(popup, callback) {
    let closedAt = 0;
    const timer = setInterval(() => {
      if (!popup.closed) return;
      closedAt ||= Date.now();
      if (Date.now() - closedAt > LATE_MS) end(null);
    }, WATCH_MS);
    const receive = (message) => {
      const ours = message.origin === simulator && message.source === popup;
      if (ours && message.data?.type === 'sim-login') end(message.data.code);
    };
    window.addEventListener('message', receive);

    function end(code) {
      clearInterval(timer);
      window.removeEventListener('message', receive);
      callback(code
        ? { authResponse: { code, userID: null, expiresIn: null }, status: 'connected' }
        : { authResponse: null, status: 'unknown' });
    }
  }

  window.FB = { init, login };
  window.fbAsyncInit?.();
})();
