// SPDX-License-Identifier: Apache-2.0

// Package pgtest runs a PostgreSQL server for tests: a real one, in a folder of its
// own, on a Unix socket. It needs the programs of Debian's package postgresql, in
// /usr/lib/postgresql/*/bin, or another folder with a version's. A test that cannot start
// one fails.
//
//	pgtest.go   a server: its start and its stop
//	crash.go    kill -9, of it all or of one of its processes
//	replica.go  a replica of it, synchronous if wanted, and its promotion
//	proxy.go    a way to it that cuts connections in the middle of a commit
//	pooler.go   PgBouncer in front of it
package pgtest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// startTimeout is how long a server may take to start: no test depends on the speed
// of the machine, and crash recovery is part of it.
const startTimeout = 2 * time.Minute

// Options configure a server. The zero value is a server that forgets everything in a
// crash of the machine, which is faster.
type Options struct {
	// Durable keeps fsync and full pages, for tests of crashes.
	Durable bool
	// Programs is the folder of the server's programs. If "", it is that of Debian's newest.
	Programs string
	// Settings are further lines of postgresql.conf.
	Settings []string
	// Language is that of the server's messages, like "de"; English if "".
	Language string
	// TCP lets the server listen at a free port of 127.0.0.1 too; see Server.Port.
	TCP bool
	// Certificate and Key, in PEM, let it speak TLS there.
	Certificate, Key []byte
	// Access replaces the lines of pg_hba.conf, which trust all users.
	Access []string
}

// Server is a running PostgreSQL server.
type Server struct {
	dir     string
	bin     string
	owner   *syscall.Credential // nil: the user that runs the test
	child   *child
	poolers []*child
	number  atomic.Int64

	language string
	port     int // 0: the usual one, of a socket only
}

// Start makes a new cluster in a new folder, and starts its server.
func Start(o Options) (*Server, error) {
	bin := o.Programs
	if bin == "" {
		var err error
		if bin, err = programs(); err != nil {
			return nil, err
		}
	}
	dir, err := os.MkdirTemp("", "calleridp-postgres-")
	if err != nil {
		return nil, err
	}
	s := &Server{dir: dir, bin: bin, language: o.Language}
	if err := s.create(o); err != nil {
		os.RemoveAll(dir)
		return nil, err
	}
	if err := s.Restart(); err != nil {
		s.Stop()
		return nil, err
	}
	return s, nil
}

// programs returns the folder of the newest server's programs.
func programs() (string, error) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	if err != nil || len(found) == 0 {
		return "", errors.New("pgtest: there is no PostgreSQL server; install Debian's package postgresql")
	}
	version := func(path string) int {
		n, _ := strconv.Atoi(strings.Split(path, "/")[4])
		return n
	}
	newest := slices.MaxFunc(found, func(a, b string) int { return version(a) - version(b) })
	return filepath.Dir(newest), nil
}

// own gives the folder to the user that will run the server.
func (s *Server) own() error {
	if os.Geteuid() != 0 {
		return nil
	}
	who, err := user.Lookup("postgres") // PostgreSQL refuses to run as root
	if err != nil {
		return fmt.Errorf("pgtest: as root, a user postgres is needed to run the server: %w", err)
	}
	uid, _ := strconv.Atoi(who.Uid)
	gid, _ := strconv.Atoi(who.Gid)
	s.owner = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	return os.Chown(s.dir, uid, gid)
}

func (s *Server) create(o Options) error {
	if err := s.own(); err != nil {
		return err
	}
	initdb := s.command("initdb", "--pgdata", s.data(), "--username", "calleridp", "--auth", "trust",
		"--encoding", "UTF8", "--locale", "C", "--no-instructions", "--no-sync")
	if output, err := initdb.CombinedOutput(); err != nil {
		return fmt.Errorf("pgtest: initdb: %w\n%s", err, output)
	}
	settings := []string{
		"listen_addresses = ''",
		"unix_socket_directories = '" + s.dir + "'",
		"max_connections = 200",
		"shared_buffers = 32MB",
		"deadlock_timeout = 100ms",
		"log_min_messages = warning",
	}
	if !o.Durable {
		settings = append(settings, "fsync = off", "full_page_writes = off", "synchronous_commit = off")
	}
	if o.Language != "" {
		settings = append(settings, "lc_messages = 'C.UTF-8'") // with which LANGUAGE counts
	}
	if o.TCP {
		settings = append(settings, "listen_addresses = '127.0.0.1'")
	}
	if len(o.Certificate) > 0 {
		settings = append(settings, "ssl = on")
		err := errors.Join(s.write("server.crt", o.Certificate), s.write("server.key", o.Key))
		if err != nil {
			return err
		}
	}
	if len(o.Access) > 0 {
		if err := s.write("pg_hba.conf", []byte(strings.Join(o.Access, "\n")+"\n")); err != nil {
			return err
		}
	}
	return s.configure(append(settings, o.Settings...), o.TCP)
}

// configure adds lines to postgresql.conf.
func (s *Server) configure(settings []string, tcp bool) error {
	if tcp {
		free, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		s.port = free.Addr().(*net.TCPAddr).Port
		free.Close()
		settings = append(settings, "port = "+strconv.Itoa(s.port))
	}
	conf, err := os.OpenFile(filepath.Join(s.data(), "postgresql.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = conf.WriteString("\n" + strings.Join(settings, "\n") + "\n")
	return errors.Join(err, conf.Close())
}

// write replaces a file in the server's folder of data.
func (s *Server) write(name string, content []byte) error {
	path := filepath.Join(s.data(), name)
	err := os.WriteFile(path, content, 0o600)
	if err == nil && s.owner != nil {
		err = os.Chown(path, int(s.owner.Uid), int(s.owner.Gid))
	}
	return err
}

func (s *Server) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(s.bin, name), args...)
	cmd.Dir = s.dir
	cmd.Env = []string{"LC_ALL=C", "PATH=/usr/bin:/bin"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.owner}
	return cmd
}

func (s *Server) data() string { return filepath.Join(s.dir, "data") }

func (s *Server) log() string { return filepath.Join(s.dir, "log") }

// Restart starts the server, and waits until it accepts connections. It must not be
// running.
func (s *Server) Restart() error {
	log, err := os.OpenFile(s.log(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := s.command("postgres", "-D", s.data())
	if s.language != "" {
		cmd.Env = []string{"LANGUAGE=" + s.language, "LC_CTYPE=C.UTF-8", "PATH=/usr/bin:/bin"}
	}
	cmd.Stdout, cmd.Stderr = log, log
	if s.child, err = start(cmd); err != nil {
		return fmt.Errorf("pgtest: %w", err)
	}
	return s.until(context.Background(), s.answers)
}

// answers reports in its error why the server takes no query.
func (s *Server) answers(ctx context.Context) error {
	_, err := s.Query(ctx, "SELECT 1")
	return err
}

// until waits until ready returns nil.
func (s *Server) until(ctx context.Context, ready func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for {
		err := ready(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-s.child.ended:
			return fmt.Errorf("pgtest: the server has ended:\n%s", s.Log())
		case <-ctx.Done():
			return fmt.Errorf("pgtest: %w\n%s", err, s.Log())
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// Log returns what the server has logged.
func (s *Server) Log() string {
	text, _ := os.ReadFile(s.log())
	return string(text)
}

// Kill ends the server's processes as a crash does: nothing is written any more.
func (s *Server) Kill() {
	s.child.signal(syscall.SIGQUIT)
	<-s.child.ended
}

// Running reports whether the server was not ended.
func (s *Server) Running() bool {
	select {
	case <-s.child.ended:
		return false
	default:
		return true
	}
}

// Stop ends the server and deletes its folder.
func (s *Server) Stop() {
	for _, pooler := range s.poolers {
		pooler.signal(syscall.SIGKILL)
		<-pooler.ended
	}
	if s.child != nil {
		s.Kill()
	}
	os.RemoveAll(s.dir)
}

// DSN returns the connection string of a database.
func (s *Server) DSN(database string) string {
	dsn := fmt.Sprintf("host=%s user=calleridp dbname=%s", s.dir, database)
	if s.port > 0 {
		dsn += " port=" + strconv.Itoa(s.port)
	}
	return dsn
}

// Port returns the port of Options.TCP.
func (s *Server) Port() int { return s.port }

// Socket returns the folder of the server's socket.
func (s *Server) Socket() string { return s.dir }

// Query runs a query in the database postgres, on a connection of its own, and returns its
// rows as text.
func (s *Server) Query(ctx context.Context, sql string, args ...any) ([][]string, error) {
	conn, err := pgx.Connect(ctx, s.DSN("postgres"))
	if err != nil {
		return nil, err
	}
	defer conn.Close(ctx)
	rows, err := conn.Query(ctx, sql, append([]any{pgx.QueryExecModeSimpleProtocol}, args...)...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (texts []string, err error) {
		for _, value := range row.RawValues() {
			texts = append(texts, string(value))
		}
		return texts, nil
	})
}

// Database creates an empty database, and returns its connection string.
func (s *Server) Database(ctx context.Context) (dsn string, err error) {
	name := fmt.Sprintf("test%d", s.number.Add(1))
	if _, err := s.Query(ctx, "CREATE DATABASE "+name); err != nil {
		return "", err
	}
	return s.DSN(name), nil
}
