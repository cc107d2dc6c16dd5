package rules1

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestNameKey(t *testing.T) {
	for _, c := range []struct{ name, want string }{
		{"Kestrel Hosting FZ-LLC (fictional)", "kestrel hosting fz llc fictional"},
		{"  KESTREL\u00a0 Hosting,  FZ\u2010LLC ", "kestrel hosting fz llc"},
		{"S.A. Développement", "sa développement"},
		{"Al-Qa'ida", "al qaida"},
		{"Al\u2011Qa\u2019ida", "al qaida"},
		{"Кестрел Хостинг", "кестрел хостинг"},
		{"STRASSE", "strasse"},
		{"Straße", "strasse"},
		{"ΣΊΣΥΦΟΣ", "σίσυφοσ"},
		{"σίσυφος", "σίσυφοσ"},
		{"Ｋｅｓｔｒｅｌ\u3000２０２６", "kestrel 2026"},
		{"ﬁn№ 7", "finno 7"},
		{"soft\u00adhyphen", "softhyphen"},
		{"C++ & C#", "c++ c"},
		{"İstanbul", "i\u0307stanbul"},
		{"株式会社ドケット", "株式会社ドケット"},
		{"", ""},
		{" -.- ", ""},
	} {
		if got := NameKey(c.name); got != c.want {
			t.Errorf("NameKey(%q) = %q, want %q", c.name, got, c.want)
		}
	}
}

// A key is its own key, and a name of ASCII has one key on both paths.
func FuzzNameKey(f *testing.F) {
	for _, s := range []string{"Kestrel Hosting FZ-LLC", "Straße ΣΊΣΥΦΟΣ", "ᾳ\u0345", "İ", "ﷺ", "a.\u0301", "K\u00ad\u0301", "'\u0301", "\u1e9e\u0130"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if !utf8.ValidString(s) || checkText(s) != nil {
			return
		}
		key := NameKey(s)
		if again := NameKey(key); again != key {
			t.Errorf("NameKey(%q) = %q, whose key is %q", s, key, again)
		}
		if isASCII(s) {
			if long := NameKey(s + "\u00e9"); NameKey(s+"e") != long[:len(long)-2]+"e" {
				t.Errorf("%q: ASCII key %q, with é %q", s, NameKey(s+"e"), long)
			}
		}
	})
}

func BenchmarkCheckText(b *testing.B) {
	for _, s := range []string{"Kestrel Hosting FZ-LLC (fictional)", "Кестрел Хостинг (вымышленный)"} {
		b.Run(s[:7], func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := checkText(s); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// The index keys of every name are in old registers: the key of each code point
// by itself and after a letter stays, whatever x/text is linked in.
func TestNameKeyIsFrozen(t *testing.T) {
	h := sha256.New()
	for r := rune(0); r <= unicode.MaxRune; r++ {
		if utf8.ValidRune(r) && classOf(r) != classUnassigned && !unicode.Is(unicode.Co, r) {
			fmt.Fprintf(h, "%x %x\n", NameKey(string(r)), NameKey("K"+string(r)))
		}
	}
	const want = "112ad55588d5ee1b8777c597873e3f5de3b6de40d2b89de4aa827789b722e4c1"
	if got := hex.EncodeToString(h.Sum(nil)); got != want {
		t.Errorf("got %s, want %s: raise KeyFormat with it", got, want)
	}
}
