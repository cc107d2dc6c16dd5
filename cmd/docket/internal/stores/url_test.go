package stores

import (
	"path/filepath"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ text, want string }{
		{"s3://records", "s3://records"},
		{"s3://records/cip/2026/", "s3://records/cip/2026"},
		{"s3://records/cip?path-style&region=us-east-1&endpoint=http://127.0.0.1:1&endpoint=http://127.0.0.1:2/", "s3://records/cip?endpoint=http%3A%2F%2F127.0.0.1%3A1&endpoint=http%3A%2F%2F127.0.0.1%3A2&region=us-east-1&path-style"},
		{"postgres://docket@db.example/ledger", "postgres://docket@db.example/ledger"},
		{"postgresql://docket:secret@db1.example:5432,db2.example:5433/ledger?sslmode=verify-full&password=secret", "postgres://docket@db1.example:5432,db2.example:5433/ledger?sslmode=verify-full"},
		{"postgres:///ledger?host=/run/postgresql", "postgres:///ledger?host=/run/postgresql"},
		{"postgres://docket@/ledger?host=/a,/b&password=secret&port=1,2&options=-c%20a=b", "postgres://docket@/ledger?host=/a,/b&port=1,2&options=-c%20a=b"},
		{dir, dir},
		{dir + "/a/../", dir},
	} {
		u, err := Parse(c.text)
		if err != nil || u.String() != c.want {
			t.Errorf("%s is %s, %v; want %s", c.text, u, err, c.want)
			continue
		}
		again, err := Parse(u.String())
		if err != nil || again.String() != c.want || !again.IsSame(u) || !u.IsSame(again) {
			t.Errorf("%s, read again, is %s, %v", u, again, err)
		}
	}
	for _, c := range []struct{ text, want string }{
		{"", "no store is named"},
		{"gs://bucket", `"gs://" is no kind of store: want s3://BUCKET/PREFIX`},
		{"s3://secret:secret@bucket/p", "credentials do not stand in the address"},
		{"s3://AB/p", `"AB" is no name of a bucket`},
		{"s3:///p", `"" is no name of a bucket`},
		{"s3://bucket/a//b", "a prefix has letters"},
		{"s3://bucket/../b", "a prefix has letters"},
		{"s3://bucket/a?endpint=http://h", "endpint is not known: want endpoint, region or path-style"},
		{"s3://bucket/a?endpoint=h:1", "an endpoint is http://HOST"},
		{"s3://bucket/a?endpoint=http://secret:secret@h", "an endpoint is http://HOST"},
		{"s3://bucket/a?path-style=yes", "want path-style alone"},
		{"s3://bucket/a?%zz=secret", "cannot be read"},
		{"s3://bucket/a#b", "fragment"},
		{"postgres://u:secret@h", "names no database"},
		{"postgres://u:secret@/ledger", "names no host"},
		{"postgres://u:secret@h/a/b", "names no database"},
		{"postgres://u:secret@h/a?%zz", "cannot be read"},
		{"postgres://u:sec#secret@h/a b", ""},
		{"postgres://u:a/secret@h", "write / and @ in a password as %2F and %40"},
		{"s3://bucket/a!b", "a prefix has letters"},
		{"s3://bucket/.a", "a prefix has letters"},
	} {
		u, err := Parse(c.text)
		if c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%q is %s, %v; want %s", c.text, u, err, c.want)
		}
		if err != nil && strings.Contains(err.Error(), "secret") || strings.Contains(u.String(), "secret") {
			t.Errorf("%q shows a secret: %s, %v", c.text, u, err)
		}
	}
}

func TestBeside(t *testing.T) {
	for _, c := range []struct{ text, want, connect string }{
		{"s3://bucket", "s3://bucket/x", ""},
		{"s3://bucket/a/b?region=r&path-style", "s3://bucket/a/b/x?region=r&path-style", ""},
		{"postgres://u:secret@h/a", "postgres://u@h/a?schema=docket_x", "postgres://u:secret@h/a?schema=docket_x"},
		{"postgres://u:secret@h1,h2/a?schema=s&sslmode=require", "postgres://u@h1,h2/a?sslmode=require&schema=s_x", "postgres://u:secret@h1,h2/a?sslmode=require&schema=s_x"},
	} {
		u, err := Parse(c.text)
		if err != nil {
			t.Fatal(err)
		}
		beside := u.Beside("x")
		if beside.String() != c.want || beside.connect != c.connect || beside.IsSame(u) {
			t.Errorf("beside %s is %s (%s), want %s (%s)", c.text, beside, beside.connect, c.want, c.connect)
		}
		if again, err := Parse(beside.String()); err != nil || !again.IsSame(beside) {
			t.Errorf("%s, read again, is %s, %v", beside, again, err)
		}
	}
}

func TestIsSame(t *testing.T) {
	for _, c := range []struct {
		a, b string
		same bool
	}{
		{"s3://bucket/a", "s3://bucket/a?region=eu-west-1", true},
		{"s3://bucket/a", "s3://bucket/b", false},
		{"s3://bucket/a?endpoint=http://h1&endpoint=http://h2", "s3://bucket/a?endpoint=http://h2", true},
		{"s3://bucket/a?endpoint=http://h1", "s3://bucket/a?endpoint=http://h2", false},
		{"s3://bucket/a?endpoint=http://h1", "s3://bucket/a", false},
		{"postgres://u:p@h/a", "postgres://v@h:5432/a", true},
		{"postgres://u@h1,h2/a", "postgres://u@h2/a", true},
		{"postgres://u@h1/a", "postgres://u@h2/a", false},
		{"postgres://u@h/a", "postgres://u@h/b", false},
		{"postgres://u@h:5433/a", "postgres://u@h/a", false},
		{"postgres://u@h/a", "postgres://u@h/a?schema=docket", true},
		{"postgres:///a?host=/x,/y&port=1,2", "postgres:///a?host=/y&port=2", true},
		{"postgres:///a?host=/x,/y&port=1,2", "postgres:///a?host=/y&port=1", false},
		{"postgres://u@h/a", "postgres://u@h/a?schema=other", false},
		{"postgres://u@h/a", "s3://bucket/a", false},
		{"/a", "/b", false},
		{"/a", "s3://bucket/a", false},
	} {
		a, err := Parse(c.a)
		if err != nil {
			t.Fatal(err)
		}
		b, err := Parse(c.b)
		if err != nil {
			t.Fatal(err)
		}
		if a.IsSame(b) != c.same || b.IsSame(a) != c.same {
			t.Errorf("%s and %s: %v, %v", a, b, a.IsSame(b), b.IsSame(a))
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"s3://bucket/a?endpoint=http://h&path-style", "postgres://u:p@h1:1,h2/a?b=c", "/a"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		u, err := Parse(text)
		if err != nil {
			return
		}
		if again, err := Parse(u.String()); err != nil || again.String() != u.String() {
			t.Errorf("%q is %s, which is %s, %v", text, u, again, err)
		}
	})
}

// What another machine reaches is told apart from what this one alone does.
func TestIsLocal(t *testing.T) {
	for text, local := range map[string]bool{
		"s3://records/cip": false, "s3://records/cip?region=eu-central-1": false, "s3://records/cip?endpoint=http://127.0.0.1:9000": true,
		"s3://records/cip?endpoint=http://[::1]:9000": true, "s3://records/cip?endpoint=http://localhost": true, "s3://records/cip?endpoint=http://10.0.0.1:9000": false,
		"s3://records/cip?endpoint=http://127.0.0.1:9000&endpoint=http://s3.example": false, "s3://records/cip?endpoint=http://localhost.example": false,
		"postgres://docket@db.example/ledger": false, "postgres://docket@127.0.0.1/ledger": true, "postgres://docket@localhost:5433,db.example/ledger": false,
		"postgres:///ledger?host=/run/postgresql": true, "ledger": false,
	} {
		u, err := Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		if u.IsLocal() != local {
			t.Errorf("%s: local %v", text, !local)
		}
	}
}
