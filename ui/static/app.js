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
  // together. So at most three tabs have live events, and the others ask.
  function watch(page) {
    var base = page.getAttribute('data-attempt');
    var say = byId('say'), status = say.textContent;
    var stream = null, release = null, claiming = false;
    var timer = 0, heard = 0, failures = 0, ours = false, over = false;
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
        retry(); // a stream over the same network is not to be trusted
        if (failures > 1) { say.textContent = page.getAttribute('data-offline'); }
        later(Math.min(1000 * Math.pow(2, failures), 15000));
      });
    }

    // later asks again, unless a stream tells by itself until then.
    function later(delay) {
      clearTimeout(timer);
      if (ours && !over && !stream) { timer = setTimeout(ask, delay); }
    }

    function tell(news) {
      if (over) { return; }
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
      setInterval(tick, 500);
      open();
    }

    function open() {
      if (over || stream || claiming || document.hidden || !window.EventSource) { return; }
      if (!navigator.locks) { connect(); return; }
      claiming = true;
      claim(3);
    }

    // claim looks for a free one of the places for live events, and keeps it
    // until close.
    function claim(place) {
      navigator.locks.request('waiting-' + place, { ifAvailable: true }, function (lock) {
        if (!lock && place > 1) { claim(place - 1); return undefined; }
        claiming = false;
        if (!lock) { setTimeout(open, 10000); return undefined; }
        if (over || document.hidden) { return undefined; }
        return new Promise(function (done) { release = done; connect(); });
      });
    }

    function connect() {
      var mine = stream = new EventSource(base + '/events');
      clearTimeout(timer);
      heard = Date.now();
      mine.onmessage = function (event) {
        failures = 0;
        tell(JSON.parse(event.data));
      };
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
      if (stream) { stream.close(); stream = null; }
      if (release) { release(); release = null; }
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
      if (document.hidden) { close(); later(1000); return; }
      ask();
      open();
    }

    document.addEventListener('visibilitychange', wake);
    window.addEventListener('focus', wake);
    window.addEventListener('online', wake);
    window.addEventListener('offline', wake);
    window.addEventListener('pageshow', function (event) {
      if (event.persisted && over) { location.reload(); } else if (event.persisted) { close(); wake(); }
    });

    if (document.readyState === 'complete') { ask(); } else { window.addEventListener('load', ask); }
  }
})();
