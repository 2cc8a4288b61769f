// One-tap: the button that opens Truecaller on the same Android phone. The number
// field beside it stays, whatever happens here.
(function () {
  'use strict';

  var form = document.getElementById('onetap');
  if (!form || !window.fetch || !window.Promise || !window.FormData || !window.URLSearchParams) { return; }

  var button = form.querySelector('button'), say = document.getElementById('onetap-say');
  var nonce = form.elements.nonce, link = form.getAttribute('data-link'); // of the next try

  // The try under way, or the last one: its link, when it was opened (milliseconds
  // since 1970), the attempt's path once it is known, and what became of it.
  var mine = null;
  var question = 0, doubt = 0; // timers

  form.addEventListener('submit', function (event) {
    event.preventDefault();
    if (live()) {
      if (Date.now() - mine.since < 1000) { return; } // a double click
      // Nothing came of the link: nobody has used it, and it may be opened again.
      if (!mine.opened) { launch(); return; }
      forget();
    }
    mine = { link: link, began: Date.now(), since: 0, attempt: '', resumed: false, left: false, opened: false, over: false };
    // Both within the click: a browser opens an app from nothing else. The request
    // goes on while the app is in front.
    send(mine, 0);
    launch();
  });

  function live() { return mine && !mine.over; }
  function seen() { return !document.hidden && document.hasFocus(); }

  function launch() {
    mine.since = Date.now();
    mine.left = false;
    tell('opening');
    suspect('absent', 1000);
    try { location.href = mine.link; } catch (e) { return; } // old engines throw at a scheme that they do not know
  }

  // suspect says so if by then nobody has left this page and nothing was heard.
  function suspect(what, delay) {
    clearTimeout(doubt);
    doubt = setTimeout(function () {
      button.removeAttribute('aria-disabled');
      if (live() && !mine.left && seen() && !(mine.opened && what === 'absent')) { tell(what); }
    }, delay);
  }

  // Until it gets an answer it asks again, which starts nothing twice.
  function send(it, failures) {
    fetch(form.action, {
      method: 'POST', keepalive: true, credentials: 'same-origin', headers: { Accept: 'application/json' },
      body: new URLSearchParams(new FormData(form))
    }).then(function (answer) {
      if (answer.ok) { return answer.json(); }
      return answer.status < 500 ? null : Promise.reject(answer);
    }).then(function (started) {
      if (it !== mine || it.over) { return; }
      if (!started) { // refused, by a page that has the words, and the time to come back
        it.over = true;
        form.submit();
        return;
      }
      it.attempt = started.attempt;
      if (started.other_link) { location.assign(it.attempt); return; }
      if (started.link) { nonce.value = started.nonce; link = started.link; }
      keep(it.attempt);
      ask();
    }, function () {
      if (it !== mine || it.over) { return; }
      if (Date.now() - it.began > 30000) {
        it.over = true;
        tell('failed');
        return;
      }
      setTimeout(function () { if (it === mine && !it.over) { send(it, failures + 1); } }, Math.min(1000 * Math.pow(2, failures), 8000));
    });
  }

  // Whether the app is there is guessed: this page has lost the focus, or a second
  // has passed. The server's word alone is proof. A wrong guess costs nothing,
  // because the questions go on.
  function leave() { if (live()) { mine.left = true; } }
  window.addEventListener('blur', leave);
  window.addEventListener('pagehide', leave);
  document.addEventListener('visibilitychange', function () {
    if (document.hidden) { leave(); } else { back(); }
  });
  window.addEventListener('focus', back);
  window.addEventListener('online', back);

  // Timers sleep while another app is in front. Whoever comes back has an answer, or
  // it is on its way; else something other than Truecaller was in front, or the
  // dialog was closed in a way that nobody is told of.
  function back() {
    if (!live()) { return; }
    if (mine.left) {
      mine.left = false;
      suspect('late', 2000);
    }
    if (mine.attempt) { ask(); }
  }

  function ask() {
    var it = mine;
    clearTimeout(question);
    if (!live()) { return; }
    fetch(it.attempt + '/status', { cache: 'no-store', credentials: 'same-origin' }).then(function (answer) {
      if (answer.status === 403 || answer.status === 404) { return { state: 'failed' }; }
      return answer.ok ? answer.json() : Promise.reject(answer);
    }).then(function (news) {
      if (it === mine && !it.over) { hear(news); }
    }, function () {
      if (it === mine && !it.over) { later(); }
    });
  }

  function later() {
    var waited = Date.now() - mine.since;
    clearTimeout(question);
    question = setTimeout(ask, waited < 10000 ? 1000 : waited < 60000 ? 2000 : 5000);
  }

  function hear(news) {
    if (news.state === 'waiting') {
      if (news.opened && !mine.opened) { mine.opened = true; tell('opened'); }
      if (mine.resumed || !mine.opened && Date.now() - mine.since > 30000) { tell('late'); }
      later();
      return;
    }
    mine.over = true;
    keep('');
    if (news.state === 'approved' || news.state === 'done') {
      tell('approved');
      // An app's own scheme opens only when the person presses a link.
      location.replace(news.state === 'done' || form.hasAttribute('data-manual') ? mine.attempt : mine.attempt + '/continue');
      mine = null;
      return;
    }
    var sentence = { another: 'another', onetap_declined: 'declined', several: 'several', several_only: 'several', onetap_expired: 'expired' }[news.outcome] || 'failed';
    if (mine.resumed && (sentence === 'expired' || sentence === 'failed')) { return; } // long ago
    tell(sentence);
    var phone = document.getElementById('phone');
    if (news.outcome === 'another' && phone) { phone.focus(); } // as the person has asked for
  }

  function tell(what) {
    var text = form.getAttribute('data-' + what);
    if (say.textContent !== text) { say.textContent = text; }
    if (what === 'opening') { button.setAttribute('aria-disabled', 'true'); } else { button.removeAttribute('aria-disabled'); }
  }

  // forget ends the try: nobody waits for its dialog any more.
  function forget() {
    if (mine.attempt) {
      fetch(mine.attempt + '/cancel', { method: 'POST', keepalive: true, credentials: 'same-origin', redirect: 'manual' }).then(null, function () {}); // else it expires
    }
    mine.over = true;
    keep('');
  }

  // Who types a number instead has given this up.
  var number = document.getElementById('submit');
  if (number && number.form) {
    number.form.addEventListener('submit', function () {
      if (live()) { forget(); }
      mine = null;
      say.textContent = '';
    });
  }

  // A phone with little memory drops this page while Truecaller is in front, and
  // loads it again afterwards. What is kept is good for the same authorization
  // request in the same tab only.
  function keep(attempt) {
    try {
      if (attempt) {
        sessionStorage.setItem('onetap', JSON.stringify([location.href, attempt]));
      } else {
        sessionStorage.removeItem('onetap');
      }
    } catch (e) { return; } // a browser that stores nothing
  }

  function resume() {
    var kept = null;
    try { kept = JSON.parse(sessionStorage.getItem('onetap')); } catch (e) { return; }
    if (!kept || kept[0] !== location.href || !location.search) { return; }
    mine = { link: link, began: Date.now(), since: Date.now(), attempt: kept[1], resumed: true, left: false, opened: true, over: false };
    ask();
  }

  resume();
  window.addEventListener('pageshow', function (event) {
    if (!event.persisted) { return; }
    if (mine && mine.attempt) { mine.over = false; ask(); } else { say.textContent = ''; }
  });
})();
