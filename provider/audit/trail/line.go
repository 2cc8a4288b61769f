// SPDX-License-Identifier: Apache-2.0

package trail

import (
	"bytes"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strconv"
	"time"

	"calleridp/keys"
	"calleridp/provider/audit"
)

// A line is a JSON object:
//
//	{"seq":17,"time":"2026-11-30T06:20:01.123456Z","server":"web-1","event":"attempt.done",
//	 "level":"INFO", …, "prev":"…","mac":"…"}
//
// prev is the mac of the line with the number before, "" for the first of a chain. mac is
// an HMAC-SHA-256 under a key of its own (keys.PurposeAuditLine) over all bytes of the line
// before `,"mac":`. So each line says by itself whether it is genuine and which one it
// follows.
const (
	timeFormat = "2006-01-02T15:04:05.000000Z"

	// maxLine is the longest line in bytes. The writer makes none that is longer.
	maxLine = 64 << 10
	// maxText is the longest text of a value in bytes; the rest is left out.
	maxText = 1 << 10
)

// macSize is the length of a mac as text.
var macSize = base64.RawURLEncoding.EncodedLen(32)

var (
	macKey  = []byte(`,"mac":"`)
	lineEnd = []byte(`"}`)
)

// Key authenticates lines. *keys.Master is one.
type Key interface {
	MAC(p keys.Purpose, parts ...[]byte) [32]byte
}

// mac returns the mac of the text of a line before it.
func mac(k Key, text []byte) string {
	sum := k.MAC(keys.PurposeAuditLine, text)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// place is where a chain has come to.
type place struct {
	seq uint64 // of the last line, 0 before the first
	mac string // of that line, "" before the first
}

// follow appends the next line of a chain to b: body is what it says, as members of a JSON
// object. It returns the place after it.
func (p place) follow(b []byte, k Key, server string, at time.Time, body []byte) ([]byte, place) {
	start := len(b)
	b = append(b, `{"seq":`...)
	b = strconv.AppendUint(b, p.seq+1, 10)
	b = append(b, `,"time":"`...)
	b = at.UTC().AppendFormat(b, timeFormat)
	b = append(b, `","server":"`...)
	b = append(b, server...) // has no character that JSON quotes, see checkName
	b = append(b, `",`...)
	b = append(b, body...)
	b = append(b, `,"prev":"`...)
	b = append(b, p.mac...)
	b = append(b, '"')
	next := place{p.seq + 1, mac(k, b[start:])}
	b = append(b, macKey...)
	b = append(b, next.mac...)
	b = append(b, lineEnd...)
	return append(b, '\n'), next
}

// line is a genuine line, as it was written.
type line struct {
	place
	Seq    uint64     `json:"seq"`
	Time   time.Time  `json:"time"`
	Server string     `json:"server"`
	Event  audit.Name `json:"event"`
	Prev   string     `json:"prev"`

	File string `json:"file"` // of audit.file
	Torn []torn `json:"torn"` // of audit.file

	Taken time.Time `json:"taken"` // of audit.restored
	Known uint64    `json:"known"` // of audit.restored
	Found uint64    `json:"found"` // of audit.restored
}

// errForeign is the error of a line that is not one of ours, or was changed.
var errForeign = errors.New("trail: the line was changed, or another program has written it")

// genuine returns what a line says, without its end, or errForeign. It compares the text of
// the mac, of which only one stands for its bytes.
func genuine(k Key, text []byte) (line, error) {
	at := len(text) - len(macKey) - macSize - len(lineEnd)
	if at < 0 || len(text) > maxLine {
		return line{}, errForeign
	}
	signed, rest := text[:at], text[at:]
	stated, ok := bytes.CutPrefix(rest, macKey)
	if ok {
		stated, ok = bytes.CutSuffix(stated, lineEnd)
	}
	if !ok || subtle.ConstantTimeCompare(stated, []byte(mac(k, signed))) != 1 {
		return line{}, errForeign
	}
	var l line
	if json.Unmarshal(text, &l) != nil { // it is genuine, so no program of ours of this version has written it
		return line{}, errForeign
	}
	l.place = place{l.Seq, string(stated)}
	return l, nil
}

// torn is what a crash, or a disk that was full, left of lines at the end of a file. The
// first line of a later file says what it was, so that nothing can be put in its place.
type torn struct {
	File   string `json:"file"`
	At     int64  `json:"at"`     // its offset
	Bytes  int64  `json:"bytes"`  // how many there are
	SHA256 string `json:"sha256"` // of them, in base64url
}
