// SPDX-License-Identifier: Apache-2.0
// The number field. It groups digits while the user types, as their country writes mobile
// numbers, and shows the whole number before it is submitted. Nothing that the user types
// leaves the page before the form does. Input that this script cannot parse stays as it
// is: the server parses more.
document.documentElement.className = 'joined'; // before the page is drawn, so that nothing moves

document.addEventListener('DOMContentLoaded', function () {
  'use strict';

  // truecaller/phone.Groups documents the lines of this table.
  var table = GROUPS;

  var phone = document.getElementById('phone'), region = document.getElementById('region');
  var hint = document.getElementById('hint'), code = document.querySelector('.code'), asked = document.getElementById('asked'), guessed = document.getElementById('guessed');
  var problem = document.getElementById('problem');
  if (!table || !phone || !region || !hint || !asked) { return; }

  var plans = {}, codes = {}; // by calling code; of each region
  table.split('\n').forEach(function (line) {
    var part = line.split('|');
    if (part.length < 6) { return; }
    plans[part[0]] = {
      code: part[0], main: part[1].slice(0, 2), trunk: part[2], text: part[3],
      least: parseInt(part[4], 10), most: +part[4].split('-')[1], exit: new RegExp('^(?:' + (part.slice(5).join('|') || '00') + ')(?=[1-9])')
    };
    part[1].replace(/../g, function (name) { codes[name] = part[0]; });
  });

  // The rules of a plan: how digits may begin, as the set of digits for each place, and how
  // they are grouped.
  function rules(plan) {
    if (!plan.rules) {
      plan.rules = plan.text.split(';').map(function (text) {
        var at = text.indexOf('='), shape = text.slice(at + 1), length = 0;
        shape.replace(/\d+/g, function (size) { length += +size; });
        return {
          begins: text.slice(0, at).split(',').map(function (begin) {
            return begin.match(/\[[^\]]*\]|./g).map(function (place) { return new RegExp('[' + place.replace(/[\[\]]/g, '').replace('.', '0-9') + ']'); });
          }),
          shape: shape, length: length
        };
      });
    }
    return plan.rules;
  }

  // rule finds the rule for digits: that of a complete number, else that of the beginning
  // of one.
  function rule(plan, digits) {
    var fit = rules(plan).filter(function (r) {
      return digits.length <= r.length && r.begins.some(function (begin) {
        return begin.every(function (place, i) { return i >= digits.length || place.test(digits.charAt(i)); });
      });
    });
    return fit.filter(function (r) { return digits.length === r.length; })[0] || fit[0];
  }

  function grouped(r, digits) {
    var at = 0, text = r.shape.replace(/\d+/g, function (size) {
      var group = digits.substr(at, +size);
      at += +size;
      return group;
    });
    return text.replace(/\D+$/, '');
  }

  // The zero of each script. Its other digits follow.
  var zeros = '\u0660\u06f0\u07c0\u0966\u09e6\u0a66\u0ae6\u0b66\u0be6\u0c66\u0ce6\u0d66\u0de6\u0e50\u0ed0\u0f20\u1040\u1090\u17e0\u1810\u1946' +
    '\u19d0\u1a80\u1a90\u1b50\u1bb0\u1c40\u1c50\ua620\ua8d0\ua900\ua9d0\ua9f0\uaa50\uabf0\uff10';
  // What stands between digits: truecaller/phone.separates has the same characters.
  var between = /[\u0009-\u000d\u0020\u0028\u0029\u002d-\u002f\u005b\u005d\u007e\u0085\u00a0\u00ad\u00b7\u02d7\u058a\u05be\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u1400\u1680\u1806\u180e\u2000-\u2015\u2022\u2028-\u202f\u2043\u2044\u205f-\u2064\u2066-\u206f\u2212\u2215\u2219\u22c5\u2500\u2e17\u2e1a\u2e3a\u2e3b\u2e40\u2e5d\u3000\u301c\u3030\u30a0\u30fb\u30fc\ufe31\ufe32\ufe58\ufe63\ufeff\uff08\uff09\uff0d-\uff0f\uff3b\uff3d\uff5e\uff65\uff70\ufff9-\ufffb]/;

  // plain returns the plus and the digits of a text in ASCII, null if the text has a
  // character that no number contains.
  function plain(text) {
    var out = '', i, j, c, code, digit;
    text = text.replace(/^\s*tel:/i, '').replace(/^%2b/i, '+');
    for (i = 0; i < text.length; i++) {
      c = text.charAt(i);
      code = text.charCodeAt(i);
      digit = /[0-9]/.test(c) ? c : '';
      for (j = 0; j < zeros.length && code > 127 && digit === ''; j++) {
        if (code >= zeros.charCodeAt(j) && code < zeros.charCodeAt(j) + 10) { digit = String(code - zeros.charCodeAt(j)); }
      }
      if (digit !== '') {
        out += digit;
      } else if (/[+\uff0b\ufe62]/.test(c) && out === '') {
        out = '+';
      } else if (!between.test(c)) {
        return null;
      }
    }
    return out;
  }

  // fits reports whether a plan may have numbers of so many digits, its trunk prefix among
  // them or not.
  function fits(plan, national) {
    var bare = plan.trunk && national.indexOf(plan.trunk) === 0 ? plan.trunk.length : 0;
    return [national.length, national.length - bare].some(function (n) { return plan.least <= n && n <= plan.most; });
  }

  // abroad returns what digits with a country code may mean, as truecaller/phone.Parse
  // reads them: after a plus, after 00, or after what is dialled in the chosen country.
  function abroad(digits) {
    var home = plans[codes[region.value]], exit = home && home.exit.exec(digits), heads = [];
    if (/^(\+|00)/.test(digits)) { heads.push(/^(\+|00)/.exec(digits)[0]); }
    if (exit && exit[0] !== heads[0]) { heads.push(exit[0]); }
    if (exit && exit[0].charAt(0) !== '0') { heads.push(''); } // or the plus was forgotten
    return heads.map(function (head) {
      var rest = digits.slice(head.length), plan = plans[rest.slice(0, 1)] || plans[rest.slice(0, 2)] || plans[rest.slice(0, 3)];
      // Satellite phones and other networks of no country have codes that the table lacks.
      return { head: head, plan: plan, national: plan && rest.slice(plan.code.length), anywhere: /^(8[078]|979)/.test(rest) };
    });
  }

  // read returns a text in groups, and the whole number if it is complete. It returns null
  // if the text must stay as it is. Of two meanings that may both be numbers it shows none:
  // the server asks.
  function read(text) {
    var digits = plain(text), found, from, head, plan, national, r, bare;
    if (!digits) { return null; }
    found = abroad(digits);
    plan = plans[codes[region.value]];
    // Tajikistan's own mobile numbers may begin with 00.
    r = found.length && plan && rule(plan, digits);
    if (r && r.length === digits.length) { return null; }
    if (found.length > 1) {
      found = found.filter(function (one) { return one.plan ? fits(one.plan, one.national) : one.anywhere; });
      if (found.length !== 1 || !found[0].plan) { return null; }
    }
    if (found.length) {
      plan = found[0].plan;
      if (!plan) { return null; }
      from = found[0].head;
      national = found[0].national;
      head = from + (from === '+' || from === '00' ? '' : ' ') + plan.code + (national ? ' ' : '');
    } else {
      if (!plan) { return null; }
      national = digits;
      head = '';
    }
    r = rule(plan, national);
    if (!r && plan.trunk && national.indexOf(plan.trunk) === 0) {
      bare = national.slice(plan.trunk.length);
      r = rule(plan, bare);
      // The zero of +46 (0)70 is not dialled from abroad.
      if (r && !(from && bare.length === r.length)) { head += plan.trunk + (plan.trunk === '0' || !bare ? '' : ' '); }
      national = bare;
    }
    if (!r) { return { plan: plan, from: from, national: national, text: null, whole: '' }; }
    bare = grouped(r, national);
    return {
      plan: plan, from: from, national: national, text: head + bare,
      whole: national.length === r.length ? '+' + plan.code + ' ' + bare : ''
    };
  }

  var last = '';

  function write(deleting) {
    var text = phone.value, caret = phone.selectionStart, atEnd = caret === text.length, now = plain(text), found = read(text), counts, i;
    // A space that the user deletes stays deleted, or the key would have no effect.
    if (found && found.text !== null && found.text !== text && !(deleting && now === last)) {
      counts = (plain(text.slice(0, caret)) || '').length;
      phone.value = found.text;
      if (document.activeElement === phone) {
        for (i = 0; i < found.text.length && (atEnd || counts > 0); i++) { if (/[+0-9]/.test(found.text.charAt(i))) { counts--; } }
        phone.setSelectionRange(i, i);
      }
    }
    last = now;
    // Any other beginning means something in the chosen country, which therefore stays.
    if (found && found.from === '+' && codes[region.value] !== found.plan.code) { region.value = found.plan.main; }
    plate();
    show(found ? found.whole : '');
  }

  // plate writes the chosen country over its list.
  function plate() {
    if (!code) { return; }
    code.querySelector('.plate').textContent = region.value || '\u00b7\u00b7';
    code.querySelector('span').textContent = codes[region.value] ? '+' + codes[region.value] : '';
  }

  // settle takes the country code out of a number that nobody is typing any more, because
  // the chosen country says it. It leaves a number that would mean something else then.
  function settle() {
    var found = read(phone.value), national, again;
    if (!found || !found.whole || found.from !== '+' || codes[region.value] !== found.plan.code) { return; }
    national = found.text.slice(found.plan.code.length + 2);
    again = read(national);
    if (!again || again.whole !== found.whole) { return; }
    phone.value = again.text || national;
    last = plain(phone.value);
  }

  // show shows the number to which the request goes. A number that was shown needs no
  // confirmation.
  function show(number) {
    var text;
    // A question or a problem is about the number as it came: only another one replaces it.
    if (problem && plain(phone.value) === plain(phone.defaultValue)) { number = ''; }
    if (guessed) { guessed.disabled = number !== ''; }
    if (hint.getAttribute('data-number') === number) { return; }
    hint.setAttribute('data-number', number);
    hint.textContent = '';
    if (number) {
      text = asked.cloneNode(true);
      text.querySelector('bdi').textContent = number;
      while (text.firstChild) { hint.appendChild(text.firstChild); }
    }
  }

  phone.addEventListener('input', function (event) {
    if (event.isComposing) { return; }
    write(/^delete/.test(event.inputType || ''));
    if (!event.inputType || /Paste|Replacement/.test(event.inputType)) { settle(); } // pasted, or filled in by the browser
  });
  phone.addEventListener('compositionend', function () { write(false); });
  phone.addEventListener('change', function () { write(false); settle(); });

  // The country that the user chose last overrides a code that they typed before.
  region.addEventListener('change', function () {
    var found = read(phone.value);
    if (found && found.from && codes[region.value] !== found.plan.code) { phone.value = found.national; }
    write(false);
  });
  window.addEventListener('pageshow', function () { write(false); });
});
