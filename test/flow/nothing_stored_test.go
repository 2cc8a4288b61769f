// SPDX-License-Identifier: Apache-2.0

package flow

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"calleridp/test/harness"
)

// A crawler that visits the authorization endpoint again and again leaves the
// store as it is: not a commit, not a byte (invariant 1). The sample is bounded;
// nothing in it depends on how often.
func TestInvariant1_VisitsWriteNothing(t *testing.T) {
	for name, more := range map[string]string{"as it comes": "", "with a challenge on each page": "limits: {challenge: always, network: 3/1h}\n"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			visitsWriteNothing(t, more)
		})
	}
}

func visitsWriteNothing(t *testing.T, more string) {
	truecaller := httptest.NewServer(http.NotFoundHandler())
	defer truecaller.Close()
	server := harness.Serve(t, truecaller.URL, more)
	stats := func() (s struct {
		Commits uint64 `json:"commits"`
		Bytes   int64  `json:"db_bytes"`
	}) {
		t.Helper()
		admin := http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", server.Socket)
		}}}
		answer, err := admin.Get("http://calleridp/v1/stats")
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		if err := json.NewDecoder(answer.Body).Decode(&s); err != nil {
			t.Fatal(err)
		}
		return s
	}
	file := func() string {
		t.Helper()
		raw, err := os.ReadFile(filepath.Join(server.Dir, "data", "calleridp.db"))
		if err != nil {
			t.Fatal(err)
		}
		return string(raw)
	}
	before, bytesBefore := stats(), file()
	crawler := harness.NewBrowser(t, server.Issuer)
	for i := range 3000 {
		want, parameters := http.StatusOK, []string{"state", fmt.Sprint(i)}
		if i%3 == 1 {
			want, parameters = http.StatusSeeOther, append(parameters, "prompt", "none")
		}
		page := crawler.Get(server.AuthorizationURL(parameters...))
		if page.Status != want {
			t.Fatalf("visit %d: status %d, want %d\n%s", i, page.Status, want, page.Body)
		}
		if page.Has("solution") != (more != "" && i%3 != 1) {
			t.Fatalf("visit %d: a challenge on the page: %v, want %v", i, page.Has("solution"), !page.Has("solution"))
		}
		if len(page.Header.Values("Set-Cookie")) > 0 {
			t.Fatalf("visit %d set a cookie", i)
		}
	}
	if after := stats(); after != before || file() != bytesBefore {
		t.Errorf("the store was %+v and is %+v, want no change", before, after)
	}
}
