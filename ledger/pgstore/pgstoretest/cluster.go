// Package pgstoretest starts PostgreSQL servers for tests, as an unprivileged user, in a
// temporary directory, on a Unix socket: a primary, and standbys that follow it; it kills them
// as a power failure would, starts them again and promotes them. A test is skipped where
// PostgreSQL is not installed.
package pgstoretest

import (
	"bytes"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// binDirs are where Debian installs servers, the newest last.
const binDirs = "/usr/lib/postgresql/*/bin"

// Server is a PostgreSQL server. Its methods fail the test; they are for one goroutine.
type Server struct {
	t    testing.TB
	bin  string
	dir  string // of the sockets, and of each server's data in dir/<port>
	port int
	uid  int // whom the server runs as
	cmd  *exec.Cmd
	done chan struct{} // closed once cmd has ended
}

// Start starts a server with an empty database "docket", which ends with the test.
// settings are lines of postgresql.conf.
func Start(t testing.TB, settings ...string) *Server {
	t.Helper()
	found, _ := filepath.Glob(binDirs + "/postgres")
	if len(found) == 0 {
		t.Skip("no PostgreSQL server is installed (Debian: apt-get install postgresql)")
	}
	slices.SortFunc(found, func(a, b string) int { return version(a) - version(b) })
	dir, err := os.MkdirTemp(tempDir(), "pg")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	s := &Server{t: t, bin: filepath.Dir(found[len(found)-1]), dir: dir, uid: os.Getuid()}
	if s.uid == 0 { // PostgreSQL refuses to run as root
		s.uid = 65534 // nobody
		if err := os.Chown(dir, s.uid, s.uid); err != nil {
			t.Fatal(err)
		}
	}
	s.port = s.nextPort()
	s.run("initdb", "--pgdata", s.data(), "--auth", "trust", "--username", "docket", "--encoding", "UTF8", "--no-locale", "--no-sync", "--wal-segsize", "1")
	s.Configure(slices.Concat([]string{
		"unix_socket_directories = '" + dir + "'", "listen_addresses = ''",
		"shared_buffers = 16MB", "max_connections = 60", "max_wal_senders = 4", "autovacuum = off", "max_wal_size = 1GB",
		"dynamic_shared_memory_type = mmap", "jit = off",
		"wal_keep_size = 64MB", "wal_receiver_status_interval = 1", "wal_retrieve_retry_interval = 100", "log_min_messages = warning",
	}, settings)...)
	s.Restart()
	s.psql("postgres", "CREATE DATABASE docket")
	return s
}

// tempDir is in memory where there is room: what a killed process has written stays there too.
func tempDir() string {
	const memory, room = "/dev/shm", 2 << 30
	var fs syscall.Statfs_t
	if err := syscall.Statfs(memory, &fs); err == nil && fs.Bavail*uint64(fs.Bsize) > room {
		return memory
	}
	return ""
}

// version is the number in .../<version>/bin/postgres.
func version(path string) int {
	n, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(path))))
	return n
}

var ports atomic.Int32

// nextPort only names a socket.
func (s *Server) nextPort() int { return 5432 + int(ports.Add(1)) }

func (s *Server) data() string { return filepath.Join(s.dir, strconv.Itoa(s.port)) }

// Configure adds lines to postgresql.conf. They hold from the next [Server.Reload] or start on.
func (s *Server) Configure(lines ...string) {
	s.t.Helper()
	f, err := os.OpenFile(filepath.Join(s.data(), "postgresql.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		s.t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(strings.Join(lines, "\n") + "\n"); err != nil {
		s.t.Fatal(err)
	}
}

// Reload has the server read its configuration anew. The lines are added before.
func (s *Server) Reload(lines ...string) {
	s.t.Helper()
	s.Configure(lines...)
	s.run("pg_ctl", "reload", "--pgdata", s.data())
}

// Restart starts a server that has ended, or was killed, and waits until it answers.
func (s *Server) Restart() {
	s.t.Helper()
	if s.cmd != nil {
		s.t.Fatal("the server runs")
	}
	cmd := s.command("postgres", "-D", s.data(), "-p", strconv.Itoa(s.port))
	logged, err := os.OpenFile(s.logFile(), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		s.t.Fatal(err)
	}
	defer logged.Close()
	cmd.Stdout, cmd.Stderr = logged, logged
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { cmd.Wait(); close(done) }()
	s.cmd, s.done = cmd, done
	s.t.Cleanup(func() {
		if s.cmd == cmd {
			cmd.Process.Signal(syscall.SIGQUIT) // at once, and it gives its shared memory back
			<-done
		}
	})
	for s.command("pg_isready", "--quiet", "--host", s.dir, "--port", strconv.Itoa(s.port)).Run() != nil {
		select {
		case <-done:
			s.t.Fatalf("the server ended:\n%s", s.Log())
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// Kill ends the server and all its processes at once, as kill −9 does, or a power failure that
// leaves what the disk was told to keep.
func (s *Server) Kill() {
	s.t.Helper()
	if s.cmd == nil {
		return
	}
	main := s.cmd.Process.Pid
	syscall.Kill(main, syscall.SIGSTOP) // starts no more of them, and ends none
	pids := children(s.t, main)
	for _, pid := range append(pids, main) {
		syscall.Kill(pid, syscall.SIGKILL)
	}
	<-s.done
	for _, pid := range pids { // none may use the shared memory any more
		for state, _ := statOf(pid); state != "" && state != "Z"; state, _ = statOf(pid) {
			time.Sleep(time.Millisecond)
		}
	}
	s.cmd = nil
}

// Freeze stops all processes of the server; thaw has them go on.
func (s *Server) Freeze() (thaw func()) {
	s.t.Helper()
	pids := append([]int{s.cmd.Process.Pid}, children(s.t, s.cmd.Process.Pid)...)
	for _, pid := range pids {
		syscall.Kill(pid, syscall.SIGSTOP)
	}
	return func() {
		for _, pid := range slices.Backward(pids) {
			syscall.Kill(pid, syscall.SIGCONT)
		}
	}
}

// children are the processes whose parent is pid.
func children(t testing.TB, pid int) (out []int) {
	t.Helper()
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil || len(stats) == 0 {
		t.Fatalf("there is no /proc: %v", err)
	}
	for _, file := range stats {
		child, _ := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		if _, parent := statOf(child); parent == pid {
			out = append(out, child)
		}
	}
	return out
}

// statOf reads /proc/pid/stat; of a process that is gone the state is empty.
func statOf(pid int) (state string, parent int) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return "", 0
	}
	// "pid (name) state parent …": a name may hold anything.
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) < 2 {
		return "", 0
	}
	parent, _ = strconv.Atoi(fields[1])
	return fields[0], parent
}

// Standby starts a server that follows this one synchronously: from now on each commit waits
// for it.
func (s *Server) Standby() *Server {
	s.t.Helper()
	b := s.Reserve()
	s.Follow(b)
	return b
}

// Reserve names a server that [Server.Follow] starts later, so that it can stand in a URL before.
func (s *Server) Reserve() *Server {
	return &Server{t: s.t, bin: s.bin, dir: s.dir, uid: s.uid, port: s.nextPort()}
}

// Follow is Standby of a server that was reserved.
func (s *Server) Follow(b *Server) {
	s.t.Helper()
	s.run("pg_basebackup", "--pgdata", b.data(), "--write-recovery-conf", "--checkpoint", "fast", "--no-sync",
		"--dbname", fmt.Sprintf("host=%s port=%d user=docket application_name=standby", s.dir, s.port))
	b.Configure("synchronous_standby_names = ''", "hot_standby = on")
	b.Restart()
	s.Reload("synchronous_standby_names = 'standby'")
	s.Await("SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync' AND state = 'streaming'", "1")
}

// Promote makes a standby the primary, and waits until it is.
func (s *Server) Promote() {
	s.t.Helper()
	s.run("pg_ctl", "promote", "--wait", "--pgdata", s.data())
}

// Disconnect ends all other sessions.
func (s *Server) Disconnect() {
	s.t.Helper()
	s.SQL("SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()")
}

// URL is that of the database docket on this server, and on others that may become the primary.
func (s *Server) URL(others ...*Server) string { return s.url("docket", others...) }

func (s *Server) url(database string, others ...*Server) string {
	hosts, ports := s.dir, strconv.Itoa(s.port)
	for _, o := range others {
		hosts, ports = hosts+","+o.dir, ports+","+strconv.Itoa(o.port)
	}
	return fmt.Sprintf("postgres://docket@/%s?%s", database, url.Values{"host": {hosts}, "port": {ports}}.Encode())
}

// Socket is where the server listens.
func (s *Server) Socket() string { return filepath.Join(s.dir, fmt.Sprint(".s.PGSQL.", s.port)) }

// SQL runs statements as psql does, as one transaction, and returns what they return.
func (s *Server) SQL(statements string) string { return s.psql("docket", statements) }

func (s *Server) psql(database, statements string) string {
	s.t.Helper()
	return s.run("psql", "--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set", "ON_ERROR_STOP=1",
		"--dbname", s.url(database), "--command", statements)
}

// Await waits until a query returns what is wanted.
func (s *Server) Await(query, want string) {
	s.t.Helper()
	var got string
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if got = s.SQL(query); got == want {
			return
		}
	}
	activity := s.SQL("SELECT pid, state, wait_event_type, wait_event, query FROM pg_stat_activity WHERE backend_type = 'client backend'")
	s.t.Fatalf("%s: got %q, want %q\n%s\n%s", query, got, want, activity, s.Log())
}

// Log is what the server has logged.
func (s *Server) Log() string {
	s.t.Helper()
	b, err := os.ReadFile(s.logFile())
	if err != nil {
		s.t.Fatal(err)
	}
	return string(b)
}

func (s *Server) logFile() string { return s.data() + ".log" }

// run runs a program of PostgreSQL's as the server's user.
func (s *Server) run(name string, args ...string) string {
	s.t.Helper()
	out, err := s.command(name, args...).CombinedOutput()
	if err != nil {
		s.t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

func (s *Server) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(s.bin, name), args...)
	cmd.Dir = s.dir
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGQUIT} // where a test panics
	if os.Getuid() == 0 {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(s.uid), Gid: uint32(s.uid)}
	}
	return cmd
}
