package endpoint

import "testing"

func TestWithParameters(t *testing.T) {
	params := []Parameter{
		{Name: "code", Value: "a b&c"},
		{Name: "iss", Value: "https://id.example"},
	}
	const added = "code=a+b%26c&iss=https%3A%2F%2Fid.example"
	for uri, want := range map[string]string{
		"https://app.example/cb":       "https://app.example/cb?" + added,
		"https://app.example/cb?x=%20": "https://app.example/cb?x=%20&" + added,
		"https://app.example/cb?":      "https://app.example/cb?" + added,
		"com.example.app:/cb":          "com.example.app:/cb?" + added,
	} {
		if got := WithParameters(uri, params...); got != want {
			t.Errorf("%s: got %s, want %s", uri, got, want)
		}
	}
	if got, want := WithParameters("/logout/done"), "/logout/done"; got != want {
		t.Errorf("without parameters: got %s, want %s", got, want)
	}
}
