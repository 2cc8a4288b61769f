// SPDX-License-Identifier: Apache-2.0

package truecaller

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestParseCallback(t *testing.T) {
	long := strings.Repeat("x", MaxCallback)
	rows := []struct {
		body string
		want Callback
	}{
		{`{"requestId":"r","accessToken":"t","state":"s"}`, Callback{RequestID: "r", AccessToken: "t", State: "s"}},
		{`{"requestId":"r","accessToken":"t"}`, Callback{RequestID: "r", AccessToken: "t"}},
		{`{"requestId":"r","accessToken":"t","endpoint":"https://e/v1/default"}`, Callback{RequestID: "r", AccessToken: "t", Endpoint: "https://e/v1/default"}},
		{`{"requestId":"r","status":"flow_invoked"}`, Callback{RequestID: "r", Status: "flow_invoked"}},
		{`{"requestId":"r","status":"a status of the future"}`, Callback{RequestID: "r", Status: "a status of the future"}},
		{`{"state":"s","accessToken":"t"}`, Callback{State: "s", AccessToken: "t"}},
		{`{"requestId":"RL8YZ41FQMt5Jiak2sc_Ys0OgQA=","accessToken":"` + bearer + `"}`, Callback{RequestID: "RL8YZ41FQMt5Jiak2sc_Ys0OgQA=", AccessToken: bearer}},
		{" \n{ \"requestId\" : \"r\" ,\t\"status\":\"s\" } \r\n", Callback{RequestID: "r", Status: "s"}},
		{`{"requestId":"r","status":"s","state":null,"endpoint":null,"accessToken":null}`, Callback{RequestID: "r", Status: "s"}},
		{`{"requestId":"r","accessToken":"t","new":{"a":[1,2.5e99,null,{"b":false}]},"more":"x","n":1}`, Callback{RequestID: "r", AccessToken: "t"}},
		{`{"requestId":"r","status":"s","requestid":"other","STATUS":1}`, Callback{RequestID: "r", Status: "s"}}, // names are exact
		{`{"requestId":"r","status":"s","d":` + strings.Repeat("[", 16) + strings.Repeat("]", 16) + `}`, Callback{RequestID: "r", Status: "s"}},
		{`{"requestId":"r","status":"s","d":[{"[[":"` + strings.Repeat("[", 20) + `","e":"\"` + strings.Repeat("{", 20) + `\\\\"}]}`, Callback{RequestID: "r", Status: "s"}},
		{`{"requestId":"r","status":"s","d":[` + strings.Repeat("[],{},", 50) + `1]}`, Callback{RequestID: "r", Status: "s"}},
		{`{"requestId":"` + strings.Repeat("r", 256) + `","status":"s"}`, Callback{RequestID: strings.Repeat("r", 256), Status: "s"}},
		{`{"requestId":"r\u0000<é","status":"s"}`, Callback{RequestID: "r\x00<é", Status: "s"}}, // opaque

		{"", Callback{}},
		{" ", Callback{}},
		{"null", Callback{}},
		{"[]", Callback{}},
		{`"x"`, Callback{}},
		{"{}", Callback{}},
		{"{", Callback{}},
		{`[{"requestId":"r","status":"s"}]`, Callback{}},
		{`{"requestId":"r"}`, Callback{}},
		{`{"status":"s"}`, Callback{}},
		{`{"accessToken":"t"}`, Callback{}},
		{`{"requestId":"","accessToken":"t"}`, Callback{}},
		{`{"requestId":"r","accessToken":"","status":""}`, Callback{}},
		{`{"requestId":1,"status":"s"}`, Callback{}},
		{`{"requestId":"r","status":{}}`, Callback{}},
		{`{"requestId":"r","status":["s"]}`, Callback{}},
		{`{"requestId":"r","accessToken":true}`, Callback{}},
		{`{"requestId":"r","status":"s","state":7}`, Callback{}},
		{`{"requestId":"r","status":"s","endpoint":{}}`, Callback{}},
		{`{"requestId":"r","requestId":"r","status":"s"}`, Callback{}},
		{`{"requestId":"r","status":"s","x":1,"x":1}`, Callback{}},
		{`{"requestId":"r","request\u0049d":"q","status":"s"}`, Callback{}}, // the same name, written otherwise
		{`{"requestId":"r","status":"s"}{}`, Callback{}},
		{`{"requestId":"r","status":"s"}]`, Callback{}},
		{`{"requestId":"r","status":"s"}x`, Callback{}},
		{`{"requestId":"r","status":"s",}`, Callback{}},
		{`{"requestId":"r" "status":"s"}`, Callback{}},
		{`{'requestId':'r','status':'s'}`, Callback{}},
		{`{"requestId":"r","status":"s","d":` + strings.Repeat("[", 17) + strings.Repeat("]", 17) + `}`, Callback{}},
		{`{"requestId":"r","status":"s","d":` + strings.Repeat(`{"a":`, 17) + "1" + strings.Repeat("}", 17) + `}`, Callback{}},
		{`{"requestId":"r","status":"s","d":["x\\",` + strings.Repeat("[", 16) + strings.Repeat("]", 16) + `]}`, Callback{}},
		{`{"requestId":"r","status":"s","d":` + strings.Repeat("[", 8000), Callback{}},
		{`{"requestId":"r","status":"s","d":` + strings.Repeat(`{"x":[`, 8) + `{"y":1}` + strings.Repeat("]}", 8) + `}`, Callback{}},
		{`{"requestId":"r","status":"s","d":[1,2,]}`, Callback{}},
		{`{"requestId":"r","status":"s","d":}`, Callback{}},
		{`{"requestId":"r","status":"s","d":truee}`, Callback{}},
		{"{\"requestId\":\"r\",\"status\":\"s\",\"d\":\"\n\"}", Callback{}},
		{"{\"requestId\":\"r\xff\",\"status\":\"s\"}", Callback{}},
		{"\ufeff" + `{"requestId":"r","status":"s"}`, Callback{}},
		{`{"requestId":"` + strings.Repeat("r", 257) + `","status":"s"}`, Callback{}},
		{`{"requestId":"r","status":"` + strings.Repeat("s", 129) + `"}`, Callback{}},
		{`{"requestId":"r","status":"s","state":"` + strings.Repeat("s", 257) + `"}`, Callback{}},
		{`{"requestId":"r","accessToken":"` + strings.Repeat("s", 4097) + `"}`, Callback{}},
		{`{"requestId":"r","status":"s","endpoint":"` + strings.Repeat("s", 1025) + `"}`, Callback{}},
		{`{"requestId":"r","status":"s","x":"` + long + `"}`, Callback{}},
		{`{"requestId":"r","accessToken":"a b"}`, Callback{}},
		{`{"requestId":"r","accessToken":"a\r\nX-Evil: 1"}`, Callback{}},
		{`requestId=r&accessToken=t`, Callback{}},
	}
	for _, row := range rows {
		t.Run(fmt.Sprintf("%.40q", row.body), func(t *testing.T) {
			got, err := ParseCallback([]byte(row.body))
			if got != row.want || (row.want == Callback{}) != errors.Is(err, ErrMalformed) {
				t.Errorf("ParseCallback(%.80q) = %q %q %q %q %q, %v, want %q %q %q %q %q", row.body, got.RequestID, got.State, got.AccessToken, got.Endpoint, got.Status, err, row.want.RequestID, row.want.State, row.want.AccessToken, row.want.Endpoint, row.want.Status)
			}
		})
	}
}

// What parses has an id, and a token or a status, within their limits; written
// again it parses to the same. What does not parse gives nothing at all.
func FuzzParseCallback(f *testing.F) {
	for _, seed := range []string{
		`{"requestId":"r","accessToken":"t","state":"s"}`, `{"requestId":"r","accessToken":"t","endpoint":"https://e/v1/default"}`,
		`{"requestId":"r","status":"flow_invoked","x":[{"a":1}]}`, `{"requestId":"r","requestId":"r","status":"s"}`, `{"state":null}`, `[]`, `{"a":{"b":[]}}x`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		c, err := ParseCallback(body)
		if err != nil {
			if c != (Callback{}) || !errors.Is(err, ErrMalformed) {
				t.Fatalf("ParseCallback(%q) = %q, %v, want no callback with %v", body, c.RequestID, err, ErrMalformed)
			}
			return
		}
		if !json.Valid(body) || len(body) > MaxCallback || c.RequestID == "" && c.State == "" || c.AccessToken == "" && c.Status == "" ||
			c.AccessToken != "" && !isBearer(c.AccessToken) ||
			len(c.RequestID) > 256 || len(c.State) > 256 || len(c.AccessToken) > 4096 || len(c.Endpoint) > 1024 || len(c.Status) > 128 {
			t.Fatalf("ParseCallback(%q) accepted it, want %v", body, ErrMalformed)
		}
		for _, s := range []string{c.RequestID, c.State, c.Endpoint, c.Status} {
			if !utf8.ValidString(s) {
				t.Fatalf("ParseCallback() has %q, want UTF-8", s)
			}
		}
		raw, err := json.Marshal(map[string]string{"requestId": c.RequestID, "state": c.State, "accessToken": c.AccessToken, "endpoint": c.Endpoint, "status": c.Status})
		if err != nil {
			t.Fatal(err)
		}
		if len(raw) > MaxCallback { // escapes may have made it longer
			return
		}
		if again, err := ParseCallback(raw); err != nil || again != c {
			t.Fatalf("ParseCallback(%q) = %q, %v, want the callback that it was made of", raw, again.RequestID, err)
		}
	})
}
