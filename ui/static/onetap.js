// SPDX-License-Identifier: Apache-2.0
// One-tap: the button that opens Truecaller on the same Android phone. The number field
// beside it always stays usable.
(function (start) {
  'use strict';
  if (document.readyState === 'loading') { document.addEventListener('DOMContentLoaded', start); } else { start(); }
})(function () {
  'use strict';

  var form = document.getElementById('onetap');
  if (!form || !window.fetch || !window.Promise || !window.FormData || !window.URLSearchParams) { return; }

  var button = form.querySelector('button'), say = document.getElementById('onetap-say');
  var nonce = form.elements.nonce, link = form.getAttribute('data-link'); // of the next attempt

  // The attempt under way, or the last one: its link, when the link was opened
  // (milliseconds since 1970), the attempt's path once it is known, and its state.
  var mine = null;
  var question = 0, doubt = 0; // timers

  form.addEventListener('submit', function (event) {
    event.preventDefault();
    if (live()) {
      if (Date.now() - mine.since < 1000) { return; } // a double click
      // The link was not used, and may be opened again.
      if (!mine.opened) { launch(); return; }
      forget();
    }
    mine = { link: link, began: Date.now(), since: 0, attempt: '', resumed: false, left: false, opened: false, over: false };
    // Both within the click, because a browser opens an app from nothing else. The request
    // continues while the app is in front.
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
    try { location.href = mine.link; } catch (e) { return; } // old engines throw on an unknown scheme
  }

  // suspect shows a message after a delay, unless the user has left this page, or the
  // server has reported that the app is open.
  function suspect(what, delay) {
    clearTimeout(doubt);
    doubt = setTimeout(function () {
      button.removeAttribute('aria-disabled');
      if (live() && !mine.left && seen() && !(mine.opened && what === 'absent')) { tell(what); }
    }, delay);
  }

  // send repeats the request until it gets a response. Repetition starts nothing twice.
  function send(it, failures) {
    fetch(form.action, {
      method: 'POST', keepalive: true, credentials: 'same-origin', headers: { Accept: 'application/json' },
      body: new URLSearchParams(new FormData(form))
    }).then(function (answer) {
      if (answer.ok) { return answer.json(); }
      return answer.status < 500 ? null : Promise.reject(answer);
    }).then(function (started) {
      if (it !== mine || it.over) { return; }
      if (!started) { // refused: the page explains it
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

  // The script guesses whether the app is installed: this page has lost the focus, or a
  // second has passed. Only the server knows. A wrong guess costs nothing, because the
  // script continues to poll.
  function leave() { if (live()) { mine.left = true; } }
  window.addEventListener('blur', leave);
  window.addEventListener('pagehide', leave);
  document.addEventListener('visibilitychange', function () {
    if (document.hidden) { leave(); } else { back(); }
  });
  window.addEventListener('focus', back);
  window.addEventListener('online', back);

  // Timers sleep while another app is in front. When the user comes back, the result is
  // there or on its way. If not, another app was in front, or the user closed the dialog in
  // a way that Truecaller does not report.
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
      // An app's own scheme opens only when the user presses a link.
      location.replace(news.state === 'done' || form.hasAttribute('data-manual') ? mine.attempt : mine.attempt + '/continue');
      mine = null;
      return;
    }
    var sentence = { another: 'another', onetap_declined: 'declined', several: 'several', several_only: 'several', onetap_expired: 'expired' }[news.outcome] || 'failed';
    if (mine.resumed && (sentence === 'expired' || sentence === 'failed')) { return; } // it ended long ago
    tell(sentence);
    var phone = document.getElementById('phone');
    if (news.outcome === 'another' && phone) { phone.focus(); } // the user chose another number
  }

  function tell(what) {
    var text = form.getAttribute('data-' + what);
    if (say.textContent !== text) { say.textContent = text; }
    if (what === 'opening') { button.setAttribute('aria-disabled', 'true'); } else { button.removeAttribute('aria-disabled'); }
  }

  // forget ends the attempt, because its dialog has become useless.
  function forget() {
    if (mine.attempt) {
      fetch(mine.attempt + '/cancel', { method: 'POST', keepalive: true, credentials: 'same-origin', redirect: 'manual' }).then(null, function () {}); // if this fails, it expires
    }
    mine.over = true;
    keep('');
  }

  // Submitting a number gives up the attempt.
  var number = document.getElementById('submit');
  if (number && number.form) {
    number.form.addEventListener('submit', function () {
      if (live()) { forget(); }
      mine = null;
      say.textContent = '';
    });
  }

  // A phone with little memory unloads this page while Truecaller is in front, and reloads
  // it afterwards. What is kept is valid for the same authorization request in the same tab
  // only.
  function keep(attempt) {
    try {
      if (attempt) {
        sessionStorage.setItem('onetap', JSON.stringify([location.href, attempt]));
      } else {
        sessionStorage.removeItem('onetap');
      }
    } catch (e) { return; } // the browser stores nothing
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
});
