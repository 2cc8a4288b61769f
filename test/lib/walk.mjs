// SPDX-License-Identifier: Apache-2.0
// A browser without a screen: keeps cookies, fills the sign-in form, follows
// redirects and meta refreshes, and stops where the flow leaves the provider.

import { timeout } from './time.mjs';

export class Walker {
  #cookies = new Map();

  constructor(issuer) { this.issuer = issuer; }

  async fetch(url, init = {}) {
    const headers = new Headers(init.headers);
    if (this.#cookies.size) headers.set('cookie', [...this.#cookies].map(([k, v]) => `${k}=${v}`).join('; '));
    const answer = await fetch(url, { ...init, headers, redirect: 'manual' });
    for (const cookie of answer.headers.getSetCookie()) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(cookie);
      if (/max-age=0|max-age=-/i.test(cookie)) this.#cookies.delete(name); else this.#cookies.set(name, value);
    }
    return answer;
  }

  get cookies() { return [...this.#cookies.keys()]; }

  // signIn goes from the authorization URL to the address at which the flow
  // leaves the provider, signing in with number wherever it is asked for one.
  async signIn(authorizationURL, number) {
    let url = String(authorizationURL);
    let answer = await this.fetch(url);
    const end = Date.now() + timeout;
    for (let hop = 0; hop < 60;) {
      const location = answer.headers.get('location');
      if (location) {
        hop++;
        url = new URL(location, url).href;
        if (!url.startsWith(this.issuer + '/')) return { left: new URL(url), hop };
        answer = await this.fetch(url);
        continue;
      }
      const page = await answer.text();
      const request = /name="request"[^>]*value="([^"]*)"/.exec(page) ?? /value="([^"]*)"[^>]*name="request"/.exec(page);
      if (page.includes('id="phone"') && request && number) {
        const form = new URLSearchParams({ request: unescape_(request[1]), phone: number });
        hop++;
        url = this.issuer + '/signin';
        answer = await this.fetch(url, { method: 'POST', body: form, headers: { origin: this.issuer } });
        number = undefined;
        continue;
      }
      if (page.includes('id="waiting"') || /http-equiv="refresh"/.test(page)) {
        if (Date.now() > end) throw new Error('still waiting after a minute: ' + url);
        await new Promise((resolve) => setTimeout(resolve, 100)); // the page's own refresh, hurried
        answer = await this.fetch(url);
        continue;
      }
      return { page, status: answer.status, url };
    }
    throw new Error('the sign-in did not end: ' + url);
  }
}

function unescape_(html) {
  return html.replaceAll('&#43;', '+').replaceAll('&#34;', '"').replaceAll('&#39;', "'").replaceAll('&lt;', '<').replaceAll('&gt;', '>').replaceAll('&amp;', '&');
}
