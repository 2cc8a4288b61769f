// SPDX-License-Identifier: Apache-2.0
// The page within a client's page that tells it of changes (OpenID Connect Session
// Management 1.0, section 3.2). A message is the client's ID and its session_state, with
// a space between them. The answer is changed, unchanged, or error where this page cannot
// know. It answers only the client's pages for which the server has made it.
(function () {
  'use strict';

  var origin = document.body.getAttribute('data-origin'), cookie = document.body.getAttribute('data-cookie');
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

  window.addEventListener('message', function (event) {
    if (event.origin !== origin || !event.source) { return; }
    var parts = typeof event.data === 'string' ? event.data.split(' ') : [];
    function answer(text) { event.source.postMessage(text, origin); }
    if (parts.length !== 2 || !parts[0] || !parts[1]) { answer('error'); return; }
    whenReadable(function (readable) {
      answer(!readable ? 'error' : same(parts[0], parts[1]) ? 'unchanged' : 'changed');
    });
  });

  // Where a browser keeps the cookies of another site from this page, it looks as if
  // nobody were signed in. Then the answer is error, whatever the cookie: after changed, a
  // client would try to sign in silently, which fails for the same reason.
  function whenReadable(then) {
    var site = location.protocol + '//' + location.hostname;
    if (location.protocol === 'http:' && origin.replace(/:\d+$/, '') !== site) { then(false); return; }
    if (!document.hasStorageAccess) { then(navigator.cookieEnabled); return; }
    document.hasStorageAccess().then(then, function () { then(false); });
  }

  function same(client, state) {
    var salt = state.substring(state.indexOf('.') + 1);
    return state === hash(client + ' ' + origin + ' ' + read() + ' ' + salt) + '.' + salt;
  }

  // read returns the state, empty if nobody is signed in.
  function read() {
    var all = document.cookie.split(/; */);
    for (var i = 0; i < all.length; i++) {
      if (all[i].indexOf(cookie + '=') === 0) { return all[i].substring(cookie.length + 1); }
    }
    return '';
  }

  // hash returns the SHA-256 (FIPS 180-4) of an ASCII text in base64url. It is written out
  // because old engines have none.
  function hash(text) {
    var H = [0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19];
    var bytes = '', words = [], W = [], i, j, n = text.length, blocks = ((n + 8) >> 6) + 1;
    for (i = 0; i < 16 * blocks; i++) { words[i] = 0; }
    for (i = 0; i < n; i++) { words[i >> 2] |= (text.charCodeAt(i) & 255) << (24 - 8 * (i & 3)); }
    words[n >> 2] |= 0x80 << (24 - 8 * (n & 3));
    words[16 * blocks - 1] = 8 * n;
    for (j = 0; j < words.length; j += 16) {
      var a = H[0], b = H[1], c = H[2], d = H[3], e = H[4], f = H[5], g = H[6], h = H[7];
      for (i = 0; i < 64; i++) {
        if (i < 16) {
          W[i] = words[j + i];
        } else {
          var x = W[i - 15], y = W[i - 2];
          W[i] = (W[i - 16] + W[i - 7] +
            ((x >>> 7 | x << 25) ^ (x >>> 18 | x << 14) ^ x >>> 3) +
            ((y >>> 17 | y << 15) ^ (y >>> 19 | y << 13) ^ y >>> 10)) | 0;
        }
        var one = (h + ((e >>> 6 | e << 26) ^ (e >>> 11 | e << 21) ^ (e >>> 25 | e << 7)) + (e & f ^ ~e & g) + K[i] + W[i]) | 0;
        var two = (((a >>> 2 | a << 30) ^ (a >>> 13 | a << 19) ^ (a >>> 22 | a << 10)) + (a & b ^ a & c ^ b & c)) | 0;
        h = g; g = f; f = e; e = (d + one) | 0;
        d = c; c = b; b = a; a = (one + two) | 0;
      }
      var next = [a, b, c, d, e, f, g, h];
      for (i = 0; i < 8; i++) { H[i] = (H[i] + next[i]) | 0; }
    }
    for (i = 0; i < 32; i++) { bytes += String.fromCharCode(H[i >> 2] >>> (24 - 8 * (i & 3)) & 255); }
    return btoa(bytes).replace(/\+/g, '-').replace(/\//g, '_').replace(/=+$/, '');
  }
})();
