// The backend's HTTP API as this page uses it, and its errors as one type.

const BASE = '/api/integrations/whatsapp';

/** What to say where the gateway itself answered, without a problem document. */
const GATEWAY = {
  401: ['session_ended', 'Your session has ended', 'This page was open for too long.', 'Open it again from your account.'],
  403: ['forbidden', 'This page may not do that', 'Your session does not cover this account.', 'Open this page again from your account.'],
  404: ['not_found', 'Not found', 'The server does not know this signup.', 'Start again.'],
  429: ['busy', 'Too many requests', 'The server is busy.', 'Wait a moment, then try again.'],
  503: ['unavailable', 'Not available for a moment', 'The server cannot answer right now.', 'Try again in a minute.'],
};

/** An error to show: `detail` says what happened, `action` what the person can do. */
export class Problem extends Error {
  constructor({ status = 0, code = '', title, detail, action = '', retryable = false }) {
    super(detail);
    Object.assign(this, { status, code, title, detail, action, retryable });
  }
}

/** Calls in the name of one bot. `credential` is asked for each call, so a renewed token is used at once. */
export class Api {
  #credential;

  constructor(credential) {
    this.#credential = credential;
  }

  /**
   * Trades the signup code for a stored grant. The code lives 30 seconds and works once, so a lost answer
   * is asked for again under the same idempotency key, which cannot spend the code twice.
   */
  async exchange(code, botId) {
    const key = crypto.randomUUID();
    for (let tries = 1; ; tries += 1) {
      try {
        return await this.#send('POST', '/exchange-token', { code, botId }, { 'idempotency-key': key });
      } catch (problem) {
        if (!problem.retryable || tries === 3) throw problem;
        await pause(1000);
      }
    }
  }

  /** Runs or continues the onboarding; answers its state. May take 25 seconds. */
  onboard(onboardingId, facts) {
    return this.#send('POST', '/onboard-client', { onboardingId, ...facts });
  }

  /** The onboarding's present state. */
  state(onboardingId, signal) {
    return this.#send('GET', `/onboarding/${encodeURIComponent(onboardingId)}`, undefined, {}, signal);
  }

  async #send(method, path, body, headers = {}, signal = undefined) {
    const response = await this.#fetch(method, path, body, headers, signal);
    if (response.status === 401 && (await this.#credential.renew())) {
      return read(await this.#fetch(method, path, body, headers, signal));
    }
    return read(response);
  }

  async #fetch(method, path, body, headers, signal) {
    const all = { ...headers, authorization: `Bearer ${this.#credential.token}` };
    if (body) all['content-type'] = 'application/json';
    try {
      return await fetch(BASE + path, {
        method, headers: all, body: body && JSON.stringify(body), signal, cache: 'no-store',
      });
    } catch (error) {
      if (error.name === 'AbortError') throw error;
      throw new Problem({
        code: 'unreachable',
        title: 'No connection',
        detail: 'The server could not be reached.',
        action: 'Check your internet connection, then try again.',
        retryable: true,
      });
    }
  }
}

/** Waits so many milliseconds. */
export function pause(ms) {
  return new Promise((resolve) => { setTimeout(resolve, ms); });
}

async function read(response) {
  const body = await response.json().catch(() => null);
  if (response.ok && body) return body;
  throw problemFrom(response.status, body);
}

function problemFrom(status, body) {
  if (body?.code) {
    const title = body.title || 'That did not work';
    return new Problem({ ...body, status, title, detail: body.detail || title });
  }
  const [code, title, detail, action] = GATEWAY[status]
    ?? ['server_error', 'Something went wrong', `The server answered with error ${status}.`, 'Try again in a minute.'];
  return new Problem({ status, code, title, detail, action, retryable: status === 429 || status >= 500 });
}
