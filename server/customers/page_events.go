package customers

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/seed-53cf897a/docket/ledger/customers/event"
	"github.com/seed-53cf897a/docket/ledger/record/schema"
	"github.com/seed-53cf897a/docket/server/web"
)

// fact is one value of a content, under its name in words.
type fact struct{ Name, Value string }

// moment is one event on a time line, or log-ins that follow one another.
type moment struct {
	At     time.Time
	Late   string // how long after that it was logged, if that was late
	Title  string
	State  string // the class of its colour
	Facts  []fact
	Then   bool // they are long, and as they were then: known since by other events
	Number uint64
	Index  uint64
	Folded []moment // of accesses
}

// moments make a time line of events, the newest first. What follows one another of log-ins is
// one moment that opens.
func (x *request) moments(events []Logged) (all []moment) {
	for _, e := range events {
		m := x.moment(e)
		if e.Kind != event.KindAccess {
			all = append(all, m)
			continue
		}
		if n := len(all); n == 0 || all[n-1].Folded == nil {
			all = append(all, moment{At: m.At, Number: m.Number, Index: m.Index})
		}
		last := &all[len(all)-1]
		last.Folded = append(last.Folded, m)
	}
	for i, m := range all {
		switch n := len(m.Folded); {
		case n == 1:
			all[i] = m.Folded[0]
		case n > 1:
			all[i].Title = fmt.Sprintf("%s from %s, since %s", web.Count(n, "log-in"), addresses(m.Folded), m.Folded[n-1].At.Format("2006-01-02 15:04"))
		}
	}
	return all
}

// addresses counts from where log-ins came.
func addresses(folded []moment) string {
	seen := make(map[string]bool)
	for _, m := range folded {
		for _, f := range m.Facts {
			if f.Name == "IP" {
				seen[f.Value] = true
			}
		}
	}
	if len(seen) == 1 {
		return "1 address"
	}
	return fmt.Sprintf("%d addresses", len(seen))
}

func (x *request) moment(e Logged) moment {
	o := objectOf(e.Content)
	m := moment{At: x.here(e.Time), Number: e.Number, Index: e.Index, Facts: factsOf(e.Content, hiddenIn(e.Kind)...)}
	m.Title, m.State = titleOf(e.Kind, o)
	m.Then = e.Kind == event.KindOpened
	for i, f := range m.Facts {
		if e.Kind == event.KindFlagged && f.Name == "matched" {
			m.Facts[i].Value = pointerWords(f.Value)
		}
		if e.Kind == event.KindFlagged && f.Name == "score" {
			m.Facts[i].Value += " of 1000"
		}
	}
	if late := e.Logged.Sub(e.Time); late >= 24*time.Hour {
		m.Late = "logged " + web.Count(int(late.Hours()/24), "day") + " later"
	}
	return m
}

// titleOf is what happened, in a sentence, and the class of its colour.
func titleOf(k event.Kind, o schema.Object) (title, state string) {
	text := func(name string) string { s, _ := o.Lookup(name).(string); return s }
	by := ""
	if text("by") != "" {
		by = " by " + text("by")
	}
	switch k {
	case event.KindOpened:
		return "Account opened", ""
	case event.KindVerified:
		how := methodWords(text("method"))
		if d, ok := o.Lookup("document").(schema.Object); ok {
			kind, _ := d.Lookup("kind").(string)
			issuer, _ := d.Lookup("issuer").(string)
			if how = "by " + kind; issuer != "" {
				how += " of " + issuer
			}
		}
		if text("outcome") == "unverifiable" {
			return "Identity could not be verified, tried " + how + "; decided" + by, "overdue"
		}
		return "Identity verified " + how + "; decided" + by, "met"
	case event.KindChanged:
		var names []string
		if set, ok := o.Lookup("set").(schema.Object); ok {
			for _, m := range set {
				names = append(names, elementWords(m.Name))
			}
		}
		if unset, ok := o.Lookup("unset").([]any); ok {
			for _, name := range unset {
				names = append(names, "no "+elementWords(fmt.Sprint(name))+" any more")
			}
		}
		return "Changed" + by + ": " + strings.Join(names, ", "), ""
	case event.KindAccess:
		what := map[string]string{"login": "Log-in", "administrative": "Administrative act", "other": "Access"}[text("action")]
		return what + " from " + text("ip"), ""
	case event.KindFlagged:
		if text("what") == "hit" {
			return "Screening hit " + text("thread"), "open"
		}
		state = map[string]string{"true-match": "overdue", "false-positive": "met"}[text("outcome")]
		return "Decided" + by + " about " + text("thread") + ": " + decisionWords(text("outcome")), state
	case event.KindHeld:
		return "Held" + by + ": may not be erased", "open"
	case event.KindReleased:
		return "Hold released" + by, ""
	case event.KindClosed:
		return "Account closed" + by, "ended"
	case event.KindErased:
		return "Erased", "ended"
	}
	return k.Doc(), ""
}

// hiddenIn are the members that a title says already.
func hiddenIn(k event.Kind) []string {
	switch k {
	case event.KindOpened:
		return []string{"account"}
	case event.KindVerified:
		return []string{"method", "outcome", "by", "document/kind", "document/issuer"}
	case event.KindChanged:
		return []string{"by", "unset"}
	case event.KindAccess:
		return []string{"action"}
	case event.KindFlagged:
		return []string{"what", "thread", "outcome", "by"}
	}
	return []string{"by"}
}

func methodWords(method string) string {
	return map[string]string{"documentary": "by a document", "non-documentary": "without a document", "other": "by another method"}[method]
}

func decisionWords(outcome string) string {
	return map[string]string{"true-match": "it is who the designation means", "false-positive": "it is somebody else", "open": "open again"}[outcome]
}

func objectOf(raw json.RawMessage) schema.Object {
	v, _ := schema.ParseJSON(raw) // it was written by the log itself
	o, _ := v.(schema.Object)
	return o
}

// factsOf are all values of a content, in its order, but those that are told already.
func factsOf(raw []byte, told ...string) (facts []fact) {
	var walk func(v any, path []string)
	walk = func(v any, path []string) {
		if slices.Contains(told, strings.Join(path, "/")) {
			return
		}
		switch v := v.(type) {
		case schema.Object:
			for _, m := range v {
				walk(m.Value, append(slices.Clone(path), m.Name))
			}
		case []any:
			for i, item := range v {
				if o, ok := item.(schema.Object); ok {
					walk(o, append(slices.Clone(path), fmt.Sprint(i+1)))
				} else {
					walk(item, path)
				}
			}
		default:
			text := fmt.Sprint(v)
			switch v {
			case true:
				text = "yes"
			case false:
				text = "no"
			}
			name := pathWords(path)
			if n := len(facts); n > 0 && facts[n-1].Name == name {
				facts[n-1].Value += "\n" + text
				return
			}
			facts = append(facts, fact{name, text})
		}
	}
	walk(objectOf(raw), nil)
	return facts
}

// pathWords names a value by where it stands: "owner 2: name".
func pathWords(path []string) string {
	words := make([]string, 0, len(path))
	for _, step := range path {
		switch {
		case step == "set":
		case len(words) > 0 && unicode.IsDigit(rune(step[0])):
			words[len(words)-1] = strings.TrimSuffix(words[len(words)-1], "s") + " " + step
		default:
			words = append(words, elementWords(step))
		}
	}
	if n := len(words); n > 1 && words[n-1] == "full text" {
		words = words[:n-1]
	}
	return strings.Join(words, ": ")
}

// pointerWords are [pathWords] of a JSON pointer, whose items count from zero.
func pointerWords(pointer string) string {
	if pointer == "" {
		return ""
	}
	path := strings.Split(pointer[1:], "/")
	for i, step := range path {
		var n int
		if _, err := fmt.Sscanf(step, "%d", &n); err == nil {
			path[i] = fmt.Sprint(n + 1)
		}
	}
	return pathWords(path)
}

// elementWords is a member's name as a word: "registration number".
func elementWords(name string) string {
	switch name {
	case "ip":
		return "IP"
	case "lei":
		return "LEI"
	case "email":
		return "e-mail"
	case "full":
		return "full text"
	case "foreign":
		return "foreign person"
	case "businessPlace":
		return "place of business"
	case "expiresOn":
		return "expires on"
	}
	var b strings.Builder
	for _, r := range name {
		if unicode.IsUpper(r) {
			b.WriteByte(' ')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}
