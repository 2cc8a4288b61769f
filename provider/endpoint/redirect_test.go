package endpoint

import "testing"

func TestWithParameters(t *testing.T) {
	params := []Parameter{{"code", "a b&c"}, {"iss", "https://id.example"}}
	const added = "code=a+b%26c&iss=https%3A%2F%2Fid.example"
	for uri, want := range map[string]string{
		"https://app.example/cb":       "https://app.example/cb?" + added,
		"https://app.example/cb?x=%20": "https://app.example/cb?x=%20&" + added,
		"https://app.example/cb?":      "https://app.example/cb?" + added,
		"com.example.app:/cb":          "com.example.app:/cb?" + added,
	} {
		if got := WithParameters(uri, params...); got != want {
			t.Errorf("%s: %s, want %s", uri, got, want)
		}
	}
	if got := WithParameters("/logout/done"); got != "/logout/done" {
		t.Errorf("without parameters: %s", got)
	}
}
