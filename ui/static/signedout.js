// SPDX-License-Identifier: Apache-2.0
// The page after signing out goes on once the frames of other applications are loaded, or
// have had their time. Without a script it refreshes itself.
(function () {
  'use strict';

  var section = document.getElementById('signed-out'), onward = document.getElementById('onward');
  if (!section || !onward) { return; }
  var gone = false;

  function go() {
    if (gone) { return; }
    gone = true;
    location.replace(onward.href);
  }

  setTimeout(go, section.getAttribute('data-seconds') * 1000);
  if (document.readyState === 'complete') { go(); } else { window.addEventListener('load', go); }
})();
