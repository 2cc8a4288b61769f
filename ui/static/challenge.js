// SPDX-License-Identifier: Apache-2.0
// Solves the challenge of a sign-in page: finds a number that, appended to the seed, has
// a SHA-256 with enough leading zero bits. It works in small slices, so that the page
// stays responsive, and starts when the user starts to type. It is written for old
// engines too.
(function () {
  'use strict';

  var solution = document.getElementById('solution');
  if (!solution) { return; }
  var form = solution.form, button = document.getElementById('submit'), phone = document.getElementById('phone');
  var say = document.getElementById('check');
  var seed = solution.getAttribute('data-seed'), bits = Number(solution.getAttribute('data-bits'));
  var counter = 0, begun = false, solved = false, wanted = false;

  // The first word of the SHA-256 (FIPS 180-4) of a message of one block.
  var K = [
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2
  ];
  var W = [];

  function firstWord(message) {
    var i, length = message.length;
    for (i = 0; i < 16; i++) { W[i] = 0; }
    for (i = 0; i < length; i++) { W[i >> 2] |= message.charCodeAt(i) << (24 - 8 * (i & 3)); }
    W[length >> 2] |= 0x80 << (24 - 8 * (length & 3));
    W[15] = 8 * length;
    for (i = 16; i < 64; i++) {
      var x = W[i - 15], y = W[i - 2];
      W[i] = (W[i - 16] + W[i - 7] +
        ((x >>> 7 | x << 25) ^ (x >>> 18 | x << 14) ^ x >>> 3) +
        ((y >>> 17 | y << 15) ^ (y >>> 19 | y << 13) ^ y >>> 10)) | 0;
    }
    var a = 0x6a09e667, b = 0xbb67ae85, c = 0x3c6ef372, d = 0xa54ff53a;
    var e = 0x510e527f, f = 0x9b05688c, g = 0x1f83d9ab, h = 0x5be0cd19;
    for (i = 0; i < 64; i++) {
      var one = (h + ((e >>> 6 | e << 26) ^ (e >>> 11 | e << 21) ^ (e >>> 25 | e << 7)) + (e & f ^ ~e & g) + K[i] + W[i]) | 0;
      var two = (((a >>> 2 | a << 30) ^ (a >>> 13 | a << 19) ^ (a >>> 22 | a << 10)) + (a & b ^ a & c ^ b & c)) | 0;
      h = g; g = f; f = e; e = (d + one) | 0;
      d = c; c = b; b = a; a = (one + two) | 0;
    }
    return (a + 0x6a09e667) >>> 0;
  }

  function work() {
    // A hidden page runs once a second only, so that its slices are longer.
    var until = Date.now() + (document.hidden ? 200 : 20);
    do {
      for (var i = 0; i < 250; i++) {
        if (firstWord(seed + counter) >>> (32 - bits) === 0) { done(); return; }
        counter++;
      }
    } while (Date.now() < until);
    setTimeout(work, 0);
  }

  function begin() {
    if (begun) { return; }
    begun = true;
    setTimeout(work, 0);
  }

  function done() {
    solved = true;
    solution.value = String(counter);
    if (!wanted) { return; }
    say.textContent = '';
    button.removeAttribute('aria-disabled');
    button.click();
  }

  // This listener runs before those of other scripts, and holds the form back.
  form.addEventListener('submit', function (event) {
    if (solved || event.submitter && event.submitter !== button) { return; }
    event.preventDefault();
    event.stopImmediatePropagation();
    begin();
    if (wanted) { return; }
    wanted = true;
    button.setAttribute('aria-disabled', 'true');
    say.textContent = say.getAttribute('data-busy');
    setTimeout(function () { if (!solved) { say.textContent = say.getAttribute('data-slow'); } }, 10000);
  });

  phone.addEventListener('input', begin);
  if (phone.value) { begin(); }
})();
