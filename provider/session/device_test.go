// SPDX-License-Identifier: Apache-2.0

package session

import (
	"slices"
	"strings"
	"testing"
)

func TestDeviceOf(t *testing.T) {
	for agent, want := range map[string]Device{
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0":                                                                    {"Firefox", "Windows"},
		"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36":                                               {"Chrome", "Linux"},
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36 Edg/142.0.0.0":                       {"Edge", "Windows"},
		"Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Mobile Safari/537.36":                                     {"Chrome", "Android"},
		"Mozilla/5.0 (Linux; Android 14; SAMSUNG SM-S918B) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/25.0 Chrome/121.0.0.0 Mobile Safari/537.36":  {"Samsung Internet", "Android"},
		"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Safari/605.1.15":                               {"Safari", "macOS"},
		"Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1":             {"Safari", "iOS"},
		"Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/138.0.7204.33 Mobile/15E148 Safari/604.1":      {"Chrome", "iOS"},
		"Mozilla/5.0 (iPad; CPU OS 16_7 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) FxiOS/139.0 Mobile/15E148 Safari/604.1":                       {"Firefox", "iPadOS"},
		"Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36":                                      {"Chrome", "ChromeOS"},
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36 OPR/124.0.0.0":                       {"Opera", "Windows"},
		"Opera/9.80 (Android; Opera Mini/36.2.2254/119.132; U; id) Presto/2.12.423 Version/12.16":                                                             {"Opera", "Android"},
		"Mozilla/5.0 (Mobile; Nokia_2720_Flip; rv:48.0) Gecko/48.0 Firefox/48.0 KAIOS/2.5.2":                                                                  {"Firefox", "KaiOS"},
		"Mozilla/5.0 (Linux; U; Android 11; en-us; M2004J19C) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/89.0 Mobile MiuiBrowser/12.13 Safari": {"Mi Browser", "Android"},
		"":                                    {},
		"curl/8.14.1":                         {},
		strings.Repeat("x", 1<<20):            {},
		"Firefox" + strings.Repeat("é", 700):  {},
		strings.Repeat("x", 504) + "Firefox/": {"Firefox", ""}, // the last of what is read
		strings.Repeat("x", 505) + "Firefox/": {},
	} {
		if got := DeviceOf(agent); got != want {
			t.Errorf("%.80q: %+v, want %+v", agent, got, want)
		}
	}
}

// Nothing of what a browser sends comes through: only our own words do.
func FuzzDeviceOf(f *testing.F) {
	for _, s := range []string{"Mozilla/5.0 (Linux; Android 10; K) Chrome/142.0.0.0", "Firefox/1 iPad", "\x00\xff", "Edg/Edg/"} {
		f.Add(s)
	}
	names := func(families []family) []string {
		all := []string{""}
		for _, f := range families {
			all = append(all, f.name)
		}
		return all
	}
	f.Fuzz(func(t *testing.T, agent string) {
		got := DeviceOf(agent)
		if !slices.Contains(names(browsers), got.Browser) || !slices.Contains(names(systems), got.OS) {
			t.Errorf("%q: %+v", agent, got)
		}
	})
}
