// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"calleridp/cmd/calleridp/config"
	"calleridp/keys"
	"calleridp/provider/audit"
)

// Lines reach syslog as they are, and the log beside it. Without syslog the server does not
// start.
func TestAuditToSyslog(t *testing.T) {
	dir := t.TempDir()
	socket := filepath.Join(dir, "log")
	listener, err := net.ListenPacket("unixgram", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	master, err := keys.NewMaster(bytes.Repeat([]byte{1}, keys.MasterSize))
	if err != nil {
		t.Fatal(err)
	}
	s := config.Settings{Master: master, Config: config.Config{Audit: config.Audit{
		To: []string{config.AuditSyslog, config.AuditLog}, SyslogSocket: socket,
	}}}
	var out bytes.Buffer
	log := slog.New(slog.NewTextHandler(&out, nil))
	a, err := openAudit(t.Context(), s, nil, nil, log, log, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := a.RecordDurable(audit.WithOperator(t.Context(), "uid 0"), audit.Event{Name: audit.ClientAdded, Client: "shop"}); err != nil {
		t.Fatal(err)
	}
	if err := a.close(); err != nil {
		t.Fatal(err)
	}
	if _, err := a.reader.Lines(t.Context(), audit.Query{}); err == nil {
		t.Error("an audit without files was read")
	}
	if !strings.Contains(out.String(), "msg=client.added log=audit client=shop operator=\"uid 0\"") {
		t.Errorf("the log:\n%s", out.String())
	}
	var events []string
	text := make([]byte, 64<<10)
	for range 3 {
		if err := listener.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		n, _, err := listener.ReadFrom(text)
		if err != nil {
			t.Fatal(err)
		}
		header, object, _ := strings.Cut(string(text[:n]), ": ")
		var line struct{ Event, Operator string }
		if err := json.Unmarshal([]byte(object), &line); err != nil || !strings.HasPrefix(header, "<86>") || !strings.Contains(header, "calleridp-audit") {
			t.Errorf("%s: %v", text[:n], err)
		}
		events = append(events, line.Event+line.Operator)
	}
	if got, want := strings.Join(events, " "), "audit.opened client.addeduid 0 audit.closed"; got != want {
		t.Errorf("syslog has %s, want %s", got, want)
	}

	s.Audit.SyslogSocket = filepath.Join(dir, "none")
	if _, err := openAudit(t.Context(), s, nil, nil, log, log, nil); err == nil || !strings.Contains(err.Error(), "audit.syslog_socket") {
		t.Errorf("without syslog: %v", err)
	}
}
