package flow

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"calleridp/test/harness"
	"calleridp/truecaller/simulator"
)

// visit opens the sign-in page of the production server's client.
func visit(t *testing.T, browser *harness.Browser) harness.Page {
	t.Helper()
	query := url.Values{"client_id": {"demo"}, "redirect_uri": {"http://127.0.0.1:1/callback"}, "response_type": {"code"}, "scope": {"openid"},
		"code_challenge": {strings.Repeat("A", 43)}, "code_challenge_method": {"S256"}}
	page := browser.Get(browser.Issuer + "/authorize?" + query.Encode())
	if page.Status != http.StatusOK {
		t.Fatalf("%d\n%s", page.Status, page.Body)
	}
	return page
}

// told is what a page tells a person, without what is chance in it: nonces, what
// is sealed, the number itself, seconds.
func told(page harness.Page) string {
	body := page.Body
	for pattern, with := range map[string]string{
		`nonce="[^"]*"`: `nonce=""`, `name="request" value="[^"]*"`: `name="request"`, `/attempt/[A-Za-z0-9_-]{22}`: "/attempt/id",
		`name="retry" value="\d+"`: `name="retry"`, `46•+\d+`: "masked", `467017406\d\d`: "number", `data-seconds="\d+"`: `data-seconds=""`, `\d+:\d\d`: "m:ss",
	} {
		body = regexp.MustCompile(pattern).ReplaceAllString(body, with)
	}
	return strconv.Itoa(page.Status) + "\n" + body
}

// differing is the first line that two pages do not share.
func differing(with, without string) string {
	a, b := strings.Split(with, "\n"), strings.Split(without, "\n")
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return "with an account: " + a[i] + "\nwithout:         " + b[i]
		}
	}
	return "one has more lines"
}

// The whole way to the end of a number's budget, on the pages themselves: 09
// does not answer, 17 has no account, and not a word differs.
func TestInvariant7_PagesDoNotTellWhoHasAnAccount(t *testing.T) {
	t.Parallel()
	sim := simulator.New(simulator.Config{Apps: []simulator.App{{Name: "Test", Key: harness.AppKey, CallbackURL: "http://127.0.0.1:1/"}}, HTTP: http.DefaultClient,
		Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	defer sim.Close()
	truecaller := httptest.NewServer(sim.Handler())
	defer truecaller.Close()
	server := harness.Serve(t, truecaller.URL, "limits: {lock: 2s, number: 3/12h}\nlifetimes: {attempt: 2s}\n")

	// walk is what a person sees who asks a number until it is refused for good.
	walk := func(number string) (pages []string, retryAfter int) {
		browser := harness.NewBrowser(t, server.Issuer)
		for range 3 {
			begun := browser.Submit(visit(t, browser), number)
			if begun.Status != http.StatusSeeOther {
				t.Fatalf("%d\n%s", begun.Status, begun.Body)
			}
			at := server.Issuer + begun.Header.Get("Location")
			pages = append(pages, told(browser.Get(at)), told(browser.Submit(visit(t, browser), number)))
			var ended harness.Page
			harness.Eventually(t, "the attempt's end", func() bool { ended = browser.Get(at); return ended.Has("ended") })
			pages = append(pages, told(ended))
		}
		last := browser.Submit(visit(t, browser), number)
		retryAfter, err := strconv.Atoi(last.Header.Get("Retry-After"))
		if err != nil || retryAfter < 3600 {
			t.Errorf("Retry-After: %q", last.Header.Get("Retry-After"))
		}
		return append(pages, told(last)), retryAfter
	}
	with, wait := walk(harness.Number(9))
	without, wait2 := walk(harness.Number(17))
	for i := range with {
		if with[i] != without[i] {
			t.Errorf("page %d differs at:\n%s", i, differing(with[i], without[i]))
		}
	}
	if d := wait - wait2; d < -30 || d > 30 { // the walks began at different times, and each took seconds
		t.Errorf("Retry-After %d with an account, %d without", wait, wait2)
	}
	for i, text := range map[int]string{ // each round: the attempt's page, a second submission, how it ended
		0: "2 more tries are possible for now", 1: "You can send another in 1\u00a0minute", 3: "One more try is possible for now",
		8: "Another request can be sent to this number in 4\u00a0hours", 9: "You can try again in 4\u00a0hours",
	} {
		if !strings.Contains(with[i], text) {
			t.Errorf("page %d does not say %q:\n%s", i, text, with[i])
		}
	}
}
