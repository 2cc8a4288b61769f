// One-tap: the button that opens Truecaller on the same Android phone. The number
// field beside it stays, whatever happens here.
(function () {
  'use strict';

  var form = document.getElementById('onetap');
  if (!form || !window.fetch || !window.Promise || !window.FormData) { return; }

  var button = form.querySelector('button'), say = document.getElementById('onetap-say');
  var nonce = form.elements.nonce, link = form.getAttribute('data-link');
  var attempt = '', began = 0, busy = false, left = false, opened = false, timer = 0, absence = 0;

  form.addEventListener('submit', function (event) {
    event.preventDefault();
    if (busy) { return; }
    busy = true; left = false; opened = false; began = Date.now(); attempt = '';
    tell('opening');
    // Both within the click: a browser opens an app from nothing else. The request
    // goes on while the app is in front.
    var sent = fetch(form.action, {
      method: 'POST', keepalive: true, credentials: 'same-origin', headers: { Accept: 'application/json' },
      body: new URLSearchParams(new FormData(form))
    });
    location.href = link;
    clearTimeout(absence);
    absence = setTimeout(look, 1000);
    sent.then(function (answer) {
      if (!answer.ok) { throw answer; }
      return answer.json();
    }).then(function (started) {
      attempt = started.attempt;
      if (started.link) { nonce.value = started.nonce; link = started.link; }
      ask();
    }, function (answer) {
      busy = false;
      // The page that says why: it has the words, and the time to come back.
      if (answer instanceof Response) { form.submit(); } else { tell('failed'); }
    });
  });

  // Three things tell whether the app is there: that this page has lost the focus,
  // that a second has passed, and the server's word, which alone is proof. A wrong
  // guess costs nothing: the question goes on.
  function look() {
    if (busy && !opened && !left && !document.hidden && document.hasFocus()) { tell('absent'); }
  }
  function leave() { if (busy) { left = true; } }
  window.addEventListener('blur', leave);
  window.addEventListener('pagehide', leave);
  document.addEventListener('visibilitychange', function () {
    if (document.hidden) { leave(); } else { back(); }
  });
  window.addEventListener('focus', back);
  window.addEventListener('online', back);

  // Timers sleep while another app is in front.
  function back() { if (busy && attempt) { ask(); } }

  function ask() {
    clearTimeout(timer);
    var mine = attempt;
    fetch(mine + '/status', { cache: 'no-store', credentials: 'same-origin' }).then(function (answer) {
      if (answer.status === 403 || answer.status === 404) { return { state: 'failed' }; }
      if (!answer.ok) { throw answer; }
      return answer.json();
    }).then(function (news) {
      if (mine === attempt && busy) { hear(news); }
    }, function () {
      if (mine === attempt && busy) { later(); }
    });
  }

  function later() {
    var waited = Date.now() - began;
    clearTimeout(timer);
    timer = setTimeout(ask, waited < 10000 ? 1000 : waited < 60000 ? 2000 : 5000);
  }

  function hear(news) {
    if (news.state === 'waiting') {
      if (news.opened && !opened) { opened = true; tell('opened'); }
      if (!opened && Date.now() - began > 30000) { tell('late'); }
      later();
      return;
    }
    busy = false;
    if (news.state === 'approved') {
      // An app's own scheme opens only when the person presses a link.
      location.replace(form.hasAttribute('data-manual') ? attempt : attempt + '/continue');
      return;
    }
    if (news.state === 'done') { location.replace(attempt); return; }
    tell(news.outcome === 'another' ? 'another' : news.outcome === 'onetap_declined' ? 'declined' : news.outcome === 'several' ? 'several' : 'failed');
    var phone = document.getElementById('phone');
    if (news.outcome === 'another' && phone) { phone.focus(); } // as the person has asked for
  }

  function tell(what) {
    var text = form.getAttribute('data-' + what);
    if (say.textContent !== text) { say.textContent = text; }
    button.setAttribute('aria-disabled', what === 'opening' ? 'true' : 'false');
  }

  // Who types a number instead has given this up.
  var number = document.getElementById('submit');
  if (number && number.form) {
    number.form.addEventListener('submit', function () {
      if (busy && attempt && navigator.sendBeacon) { navigator.sendBeacon(attempt + '/cancel'); }
      busy = false;
    });
  }
  window.addEventListener('pageshow', function (event) {
    if (event.persisted && attempt) { busy = true; ask(); }
  });
})();
