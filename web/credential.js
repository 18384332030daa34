// The page's own credential: a short-lived token for one bot that can do nothing but onboard.

const KEY = 'switchboard.token.';

/**
 * The token from the address, else from this tab's storage, else from the local front, which alone has
 * a `tokenUrl` to ask.
 */
export class Credential {
  #botId;
  #token;
  #tokenUrl = null;

  constructor(botId) {
    this.#botId = botId;
    this.#token = sessionStorage.getItem(KEY + botId);
    this.#adopt();
    // A new link opened in this tab changes only the fragment and loads nothing.
    window.addEventListener('hashchange', () => this.#adopt());
  }

  /** The bearer token; null if there is none. */
  get token() {
    return this.#token;
  }

  /** Makes sure that there is a token. False: the person must open the page from the account. */
  async ensure(tokenUrl) {
    this.#tokenUrl = tokenUrl;
    return Boolean(this.#token) || this.renew();
  }

  /** Forgets a refused token and fetches another where that is possible. */
  async renew() {
    this.#keep(this.#tokenUrl ? await ask(this.#tokenUrl, this.#botId) : null);
    return Boolean(this.#token);
  }

  #adopt() {
    const token = takeFromAddress();
    if (token) this.#keep(token);
  }

  /** Kept for this tab only, so that a reload in the middle of an onboarding can show it again. */
  #keep(token) {
    this.#token = token;
    if (token) sessionStorage.setItem(KEY + this.#botId, token);
    else sessionStorage.removeItem(KEY + this.#botId);
  }
}

async function ask(tokenUrl, botId) {
  try {
    const response = await fetch(tokenUrl, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ botId }),
    });
    return response.ok ? (await response.json()).token : null;
  } catch {
    return null;
  }
}

/** Reads `#token=` and clears it at once: addresses end up in histories, bookmarks and screenshots. */
function takeFromAddress() {
  const token = new URLSearchParams(location.hash.slice(1)).get('token');
  if (token !== null) history.replaceState(null, '', location.pathname + location.search);
  return token || null;
}
