package operator

import (
	"bytes"
	"testing"

	"calleridp/provider/admin"
)

func TestStatusIsATable(t *testing.T) {
	var out bytes.Buffer
	s := admin.Status{Version: "v1", Store: "healthy", Inbox: 2, Notices: 1, Breakers: []admin.Breaker{{Purpose: "push", Host: "t.example", State: "open"}}}
	if err := writeStatus(&out, s); err != nil {
		t.Fatal(err)
	}
	want := `version                 v1
store                   healthy
callbacks in the inbox  2
logout notices          1 waiting
truecaller, push        open  t.example
`
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", &out, want)
	}
}
