// SPDX-License-Identifier: Apache-2.0
// What the pages do beyond plain HTML. It is written for old engines too: an engine
// that cannot run it, or lacks an interface, keeps the page that refreshes itself.
(function (start) {
  'use strict';
  // The script of the number field stands in the head, and runs before the page is there.
  if (document.readyState === 'loading') { document.addEventListener('DOMContentLoaded', start); } else { start(); }
})(function () {
  'use strict';

  function byId(id) { return document.getElementById(id); }

  // The form with the response for the client submits itself.
  var formPost = byId('formpost');
  if (formPost) { formPost.submit(); return; }

  var submit = byId('submit');
  if (submit && byId('phone')) { signIn(submit); }
  var waiting = byId('waiting');
  if (waiting && window.fetch && window.Promise) { watch(waiting); }
  var ended = byId('ended');
  if (ended && ended.hasAttribute('data-again')) { countDown(ended); }

  // A second press would submit a number that the first has locked.
  function signIn(button) {
    var sent = false, text = button.textContent;
    button.form.addEventListener('submit', function (event) {
      if (event.submitter && event.submitter !== button) { return; } // another language
      if (sent) { event.preventDefault(); return; }
      sent = true;
      button.setAttribute('aria-disabled', 'true');
      button.textContent = button.getAttribute('data-busy');
    });
    window.addEventListener('pageshow', function (event) {
      if (!event.persisted) { return; }
      sent = false;
      button.removeAttribute('aria-disabled');
      button.textContent = text;
    });
  }

  function show(element, until) {
    if (!element) { return; }
    var seconds = Math.max(0, Math.ceil((until - Date.now()) / 1000));
    var text = Math.floor(seconds / 60) + ':' + ('0' + seconds % 60).slice(-2);
    text = native(text, element.getAttribute('data-zero') || '0');
    if (element.textContent !== text) { element.textContent = text; }
  }

  // native writes digits in the page's language, as the server did.
  function native(text, zero) {
    return text.replace(/[0-9]/g, function (digit) { return String.fromCharCode(zero.charCodeAt(0) + Number(digit)); });
  }

  // The page of an attempt that has ended counts down until the same number may get
  // another request. Screen readers hear of the end only.
  function countDown(page) {
    var end = Date.now() + page.getAttribute('data-again') * 1000, timer = 0;
    page.className = 'ticks';
    function tick() {
      show(byId('again-in'), end);
      if (Date.now() < end) { return; }
      clearInterval(timer);
      byId('again').disabled = false;
      var said = byId('now').parentNode;
      said.style.minHeight = said.offsetHeight + 'px'; // the buttons below stay where they are
      byId('wait').textContent = '';
      byId('now').textContent = byId('now').getAttribute('data-text');
    }
    timer = setInterval(tick, 500);
    tick();
  }

  // The waiting page refreshes itself. Once a request of the script has succeeded, the
  // script takes over: it has live events while the page is visible, and polls every few
  // seconds while it is hidden or events do not work.
  //
  // Over HTTP/1.1 a browser has six connections to a server for all its tabs. So one
  // visible tab has the live events for all. It tells the others that it has them ('',
  // also in reply to '?'), which attempt has changed (its id), and that it has stopped
  // ('end'). While the others hear nothing, they poll.
  function watch(page) {
    var base = page.getAttribute('data-attempt');
    var say = byId('say'), status = say.textContent;
    var cut = base.lastIndexOf('/'), id = base.slice(cut + 1), room = 'waiting' + base.slice(0, cut);
    var stream = null, live = false; // live: the stream has sent an event
    var release = null, queue = null; // of the lock of the tab with the stream
    var tabs = window.BroadcastChannel && navigator.locks && window.AbortController ? new BroadcastChannel(room) : null;
    var listened = 0; // when another tab last said that it has the stream, 0 for none
    var timer = 0, clock = 0, heard = 0, failures = 0, ours = false, over = false, leaving = false;
    var end = 0, again = 0;

    // Without a script the list of languages is open, because the page refreshes itself.
    var languages = document.querySelector('.early');
    if (languages) { languages.open = false; languages.className = ''; }

    function ask() {
      clearTimeout(timer);
      return fetch(base + '/status', { cache: 'no-store', credentials: 'same-origin' }).then(function (answer) {
        // A refusal is final. The page itself shows it.
        if (answer.status === 403 || answer.status === 404) { return { state: 'gone' }; }
        if (!answer.ok) { throw new Error('status ' + answer.status); }
        return answer.json();
      }).then(function (news) {
        failures = 0;
        tell(news);
        later(document.hidden ? 5000 : 2000);
      }, function () {
        failures++;
        retry(); // the stream uses the same network, as does another tab's
        listened = 0;
        if (failures > 1) { say.textContent = page.getAttribute('data-offline'); }
        later(Math.min(1000 * Math.pow(2, failures), 15000));
      });
    }

    // later polls again, unless this tab gets a stream before. If another tab has one,
    // polling is a safeguard only.
    function later(delay) {
      clearTimeout(timer);
      if (Date.now() - listened < 25000) { delay = Math.max(delay, 20000); }
      if (ours && !over && !stream) { timer = setTimeout(ask, delay); }
    }

    if (tabs) {
      tabs.onmessage = function (event) {
        if (over) { return; }
        if (event.data === '?') {
          if (live) { tabs.postMessage(''); }
          return;
        }
        var known = listened, ended = event.data === 'end';
        listened = ended ? 0 : Date.now();
        if (event.data === id) { ask(); return; }
        // Until the next tab has a stream, only polling notices a change. The delay is
        // random, so that the tabs do not poll at once.
        if (ended || !known) { later(5000 * Math.random()); }
      };
    }

    // A user who has pressed a button gets the page for it, and not the change it causes.
    function tell(news) {
      if (over || leaving) { return; }
      heard = Date.now();
      if (news.opened && page.hasAttribute('data-opened')) {
        status = page.getAttribute('data-opened');
        step(2);
      }
      if (say.textContent !== status) { say.textContent = status; }
      end = heard + news.seconds * 1000;
      again = heard + news.again * 1000;
      if (news.state === 'waiting') {
        if (!ours) { takeOver(); }
        tick();
        return;
      }
      over = true;
      clearTimeout(timer);
      close();
      if (news.state === 'approved') { approved(); } else { location.replace(base); }
    }

    // step marks the step that the user is at, from 0.
    function step(current) {
      var all = page.querySelectorAll('.steps li'), i;
      for (i = 0; i < all.length; i++) {
        all[i].className = i < current ? 'past' : i === current ? 'now' : '';
        if (i === current) { all[i].setAttribute('aria-current', 'step'); } else { all[i].removeAttribute('aria-current'); }
      }
    }

    // Removing the element does not stop a scheduled refresh. Stopping the page does, and
    // also aborts its requests, so that none may be under way.
    function takeOver() {
      ours = true;
      window.stop();
      var refresh = document.querySelector('meta[http-equiv=refresh]');
      if (refresh) { refresh.parentNode.removeChild(refresh); }
      runClock();
      if (tabs) { tabs.postMessage('?'); }
      open();
    }

    // open gets a stream as soon as no other tab has one, and keeps it until close.
    function open() {
      if (over || stream || queue || document.hidden || !window.EventSource) { return; }
      if (!tabs) { connect(); return; }
      var mine = queue = new AbortController();
      navigator.locks.request(room, { signal: mine.signal }, function () {
        if (queue !== mine) { return undefined; }
        queue = null;
        return new Promise(function (done) { release = done; connect(); });
      }).then(null, function () {}); // aborted
    }

    function connect() {
      var mine = stream = new EventSource(base + '/events');
      clearTimeout(timer);
      heard = Date.now();
      listened = 0;
      mine.onmessage = function (event) {
        failures = 0;
        live = true;
        if (tabs) { tabs.postMessage(''); }
        tell(JSON.parse(event.data));
      };
      mine.addEventListener('other', function (event) {
        if (tabs) { tabs.postMessage(event.data); }
      });
      // Whatever the reason, the script polls until a stream works again.
      mine.onerror = function () {
        if (stream !== mine) { return; }
        retry();
        ask();
      };
    }

    // retry closes the stream, and opens another one after a while.
    function retry() {
      if (!stream) { return; }
      close();
      setTimeout(open, 5000 + 5000 * Math.random());
    }

    function close() {
      if (stream && tabs) { tabs.postMessage('end'); }
      if (stream) { stream.close(); stream = null; live = false; }
      if (queue) { queue.abort(); queue = null; }
      if (release) { release(); release = null; }
    }

    // A hidden page needs no clock.
    function runClock() {
      clearInterval(clock);
      if (!document.hidden) { clock = setInterval(tick, 500); tick(); }
    }

    function tick() {
      show(byId('left'), end);
      var ring = byId('ring'), lifetime = ring ? ring.getAttribute('data-lifetime') : 0, left = Math.max(0, end - Date.now()) / 1000;
      if (ring) {
        ring.setAttribute('stroke-dasharray', Math.min(100, 100 * left / lifetime).toFixed(1) + ' 100');
        if (left <= 30) { ring.parentNode.parentNode.className = 'ring late'; }
      }
      var wait = byId('again-in');
      if (wait) {
        show(wait, again);
        (byId('again-wait') || wait).hidden = again >= end - 1000; // the ring says that
        if (again <= Date.now()) {
          byId('again').disabled = false;
          wait = byId('again-wait') || wait;
          wait.parentNode.removeChild(wait);
        }
      }
      // The server sends an event every fifteen seconds. A stream that is silent for longer
      // is dead: the computer slept, or the network changed.
      if (stream && Date.now() - heard > 25000) { close(); ask(); open(); }
    }

    function approved() {
      var done = byId('approved'), head = document.querySelector('.card > .head');
      document.title = page.getAttribute('data-approved');
      page.hidden = true;
      if (head && done.querySelector('.head')) { head.hidden = true; }
      done.hidden = false;
      done.querySelector('h1').focus();
      // The link names the request that this page has shown: another tab may have brought
      // a newer one. An app's own scheme opens only when the user presses the link.
      var on = done.querySelector('a');
      if (!page.hasAttribute('data-manual')) { location.replace(on ? on.href : base + '/continue'); }
    }

    function wake() {
      if (!ours || over) { return; }
      runClock();
      if (document.hidden) { close(); later(1000); return; }
      ask();
      open();
    }

    document.addEventListener('visibilitychange', wake);
    window.addEventListener('focus', wake);
    window.addEventListener('online', wake);
    window.addEventListener('offline', wake);
    // Not beforeunload: a link that opens an app does not leave this page.
    document.addEventListener('submit', function () { leaving = true; });
    window.addEventListener('pagehide', close);
    window.addEventListener('pageshow', function (event) {
      if (!event.persisted) { return; }
      if (over || leaving) { location.reload(); return; }
      close();
      wake();
    });

    if (document.readyState === 'complete') { ask(); } else { window.addEventListener('load', ask); }
  }
});
