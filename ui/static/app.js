// What the pages do beyond plain HTML. It is written for old engines too: one
// that cannot run it, or lacks what it needs, keeps the page that refreshes
// itself.
(function () {
  'use strict';

  function byId(id) { return document.getElementById(id); }

  // The response for the client goes by itself.
  var formPost = byId('formpost');
  if (formPost) { formPost.submit(); return; }

  var submit = byId('submit');
  if (submit && byId('phone')) { signIn(submit); }
  var waiting = byId('waiting');
  if (waiting && window.fetch && window.Promise) { watch(waiting); }

  // A second press would ask for a number that is locked by the first.
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

  // The waiting page refreshes itself. Once a request has shown that scripts can
  // ask the server here, this takes over: live events while the page is visible,
  // questions every few seconds while it is not or when events do not work.
  //
  // A browser has six connections to a server over HTTP/1.1, for all its tabs
  // together. So one visible tab has live events for all of them. It tells the
  // others that it listens (''; '?' asks for that), which attempt has changed (its
  // id), and that it does not listen any more ('end'). While they hear nothing,
  // they ask the server.
  function watch(page) {
    var base = page.getAttribute('data-attempt');
    var say = byId('say'), status = say.textContent;
    var cut = base.lastIndexOf('/'), id = base.slice(cut + 1), room = 'waiting' + base.slice(0, cut);
    var stream = null, live = false; // live: it has said something
    var release = null, queue = null; // of the right to listen
    var tabs = window.BroadcastChannel && navigator.locks && window.AbortController ? new BroadcastChannel(room) : null;
    var listened = 0; // when another tab was last heard to listen, 0 for none
    var timer = 0, clock = 0, heard = 0, failures = 0, ours = false, over = false, leaving = false;
    var end = 0, again = 0;

    // Without a script the list of languages stands open, because the page
    // refreshes itself.
    var languages = document.querySelector('.languages .early');
    if (languages) { languages.open = false; languages.className = ''; }

    function ask() {
      clearTimeout(timer);
      return fetch(base + '/status', { cache: 'no-store', credentials: 'same-origin' }).then(function (answer) {
        // An answer of ours, even one that refuses, is for the page to show.
        if (answer.status === 403 || answer.status === 404) { return { state: 'gone' }; }
        if (!answer.ok) { throw new Error('status ' + answer.status); }
        return answer.json();
      }).then(function (news) {
        failures = 0;
        tell(news);
        later(document.hidden ? 5000 : 2000);
      }, function () {
        failures++;
        retry(); // a stream over the same network is not to be trusted, nor another tab's
        listened = 0;
        if (failures > 1) { say.textContent = page.getAttribute('data-offline'); }
        later(Math.min(1000 * Math.pow(2, failures), 15000));
      });
    }

    // later asks again, unless a stream tells by itself until then. Where another
    // tab's does, it is only to be sure.
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
        // What changes until the next tab listens is seen by asking. Not by all at once.
        if (ended || !known) { later(5000 * Math.random()); }
      };
    }

    // Who has pressed a button gets its page, and not the news that it makes.
    function tell(news) {
      if (over || leaving) { return; }
      heard = Date.now();
      if (news.opened && page.hasAttribute('data-opened')) { status = page.getAttribute('data-opened'); }
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

    // Removing the element does not stop a refresh that is scheduled; stopping
    // the page does, and every request of it too, so there must be none.
    function takeOver() {
      ours = true;
      window.stop();
      var refresh = document.querySelector('meta[http-equiv=refresh]');
      if (refresh) { refresh.parentNode.removeChild(refresh); }
      runClock();
      if (tabs) { tabs.postMessage('?'); }
      open();
    }

    // open listens as soon as no other tab does, and until close.
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
      // Whatever the reason, the questions go on until a stream works again.
      mine.onerror = function () {
        if (stream !== mine) { return; }
        retry();
        ask();
      };
    }

    // retry gives up the stream, and opens another one after a while.
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

    // Nobody sees the clock of a hidden page.
    function runClock() {
      clearInterval(clock);
      if (!document.hidden) { clock = setInterval(tick, 500); tick(); }
    }

    function tick() {
      show(byId('left'), end);
      var wait = byId('again-in');
      if (wait) {
        show(wait, again);
        if (again <= Date.now()) {
          byId('again').disabled = false;
          wait = byId('again-wait') || wait;
          wait.parentNode.removeChild(wait);
        }
      }
      // The server says something every fifteen seconds. A stream that is silent
      // for longer is dead: the computer slept, or the network changed.
      if (stream && Date.now() - heard > 25000) { close(); ask(); open(); }
    }

    function show(element, until) {
      if (!element) { return; }
      var seconds = Math.max(0, Math.ceil((until - Date.now()) / 1000));
      var text = Math.floor(seconds / 60) + ':' + ('0' + seconds % 60).slice(-2);
      text = native(text, element.getAttribute('data-zero') || '0');
      if (element.textContent !== text) { element.textContent = text; }
    }

    // native writes digits as the page's reader does, as the server did.
    function native(text, zero) {
      return text.replace(/[0-9]/g, function (digit) { return String.fromCharCode(zero.charCodeAt(0) + Number(digit)); });
    }

    function approved() {
      var done = byId('approved');
      document.title = page.getAttribute('data-approved');
      page.hidden = true;
      done.hidden = false;
      done.querySelector('h1').focus();
      // An app's own scheme opens only when the person presses the link.
      if (!page.hasAttribute('data-manual')) { location.replace(base + '/continue'); }
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
    // Not beforeunload: the link that opens an app leaves this page where it is.
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
})();
