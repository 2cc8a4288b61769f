// Makes the waiting page live, and presses the button of a form post. Without
// it, or where half of it is missing, the page loads itself again every few
// seconds and gets there just the same.
(function () {
  'use strict';
  var form = document.getElementById('formpost');
  if (form) { form.submit(); return; }

  var page = document.getElementById('waiting');
  if (!page || !window.EventSource || !window.fetch || !window.stop) return;

  var here = location.pathname, live = false, over = false, source, poller;

  function moved(state) {
    if (state === 'waiting' || over) return;
    over = true;
    if (source) source.close();
    clearTimeout(poller);
    document.getElementById('news').textContent = document.title;
    document.title = '✓ ' + document.title;
    location.replace(here); // a plain redirect from there on
  }

  function ask() {
    clearTimeout(poller);
    if (over) return;
    fetch(page.dataset.status, { credentials: 'same-origin', cache: 'no-store' })
      .then(function (r) { if (!r.ok) throw r.status; return r.json(); })
      .then(function (s) { moved(s.state); }, function (status) { if (status === 403 || status === 404) moved('ended'); })
      .then(function () { if (!over && (!source || source.readyState === 2)) poller = setTimeout(ask, 2000); });
  }

  function listen() {
    source = new EventSource(page.dataset.events);
    source.onmessage = function (e) {
      if (e.data !== 'waiting') return moved(e.data);
      if (live) return;
      // The connection works: the page need not load itself any more. Stopping
      // that stops this connection too, and so it is opened once more.
      live = true;
      source.close();
      window.stop();
      listen();
    };
    source.onerror = function () {
      if (live && source.readyState === 2) { ask(); setTimeout(function () { if (!over) listen(); }, 5000); }
    };
  }

  // After a sleep or a lost network, look at once.
  document.addEventListener('visibilitychange', function () { if (live && !document.hidden) ask(); });
  window.addEventListener('online', function () { if (live) ask(); });
  window.addEventListener('pageshow', function (e) { if (e.persisted) location.replace(here); });

  // The time left, in the page's own language.
  var left = document.getElementById('left'), until = Number(page.dataset.expires);
  function tick() {
    var s = Math.max(0, Math.round((until - Date.now()) / 1000));
    left.textContent = page.dataset.left + ' ' + Math.floor(s / 60) + ':' + String(s % 60).padStart(2, '0');
    if (s > 0) setTimeout(tick, 1000); else if (live) ask();
  }
  tick();

  // "Send again" opens when the lock does.
  var again = document.getElementById('again'), when = Number(page.dataset.again);
  if (again.disabled && when > Date.now()) {
    setTimeout(function () {
      again.disabled = false;
      var note = document.getElementById('again-when');
      if (note) note.remove();
    }, Math.min(when - Date.now(), 2147483647));
  }

  if (document.readyState === 'complete') listen(); else window.addEventListener('load', listen);
})();
