package server

import (
	"cmp"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/record/schema"
	"github.com/seed-53cf897a/docket/ledger/register"
	"github.com/seed-53cf897a/docket/ledger/register/view"
)

// recordLine is one record in a list of a page: what it says in a sentence, where the page tells.
type recordLine struct {
	register.RecordRow
	Says string
	New  bool // of a copy: it came since its reader last looked
}

// maxSayings is how many records of one list a page reads for what they say; the others it names.
const maxSayings = 25

// sayings are the lines of some records.
func (s *Server) sayings(x *request, rows []register.RecordRow) ([]recordLine, error) {
	lines := make([]recordLine, len(rows))
	copied := s.copyState()
	for i, r := range rows {
		lines[i].RecordRow, lines[i].New = r, copied != nil && r.Index >= copied.Seen
		if i >= maxSayings {
			continue
		}
		st, withheld, err := s.statementOf(x, r.Index)
		if err != nil {
			return nil, err
		}
		if lines[i].Says = withheld; st != nil {
			lines[i].Says = view.Summary(st)
		}
	}
	return lines, nil
}

// linesPart are the lines of a part of a page.
func (s *Server) linesPart(x *request, p pagePart[register.RecordRow]) (pagePart[recordLine], error) {
	lines, err := s.sayings(x, p.Items)
	return pagePart[recordLine]{lines, p.Next, p.Skipped}, err
}

// statementOf is what a record says; of one that is withheld nil, and the words that say so.
func (s *Server) statementOf(x *request, index uint64) (st *record.Statement, withheld string, err error) {
	_, entry, err := s.readEntry(x, index)
	if p := (*problem)(nil); errors.As(err, &p) && p.kind == problemWithheld {
		return nil, "Withheld by this server.", nil
	}
	if err != nil {
		return nil, "", err
	}
	if st, err = record.ParseStatement(entry.Envelope.Payload); err != nil {
		return nil, "", fmt.Errorf("the payload of entry %d: %w", index, err)
	}
	return st, "", nil
}

// pageDocument is the document that a record is about, as its signers describe it.
type pageDocument struct {
	Digest    string // SHA-256, hexadecimal
	Name      string
	Of        string // the kind of the record
	MediaType string
	Bytes     string
	URLs      []string
	Private   bool // the digest is a commitment: it tells nothing of the document
}

func documentOf(st *record.Statement) *pageDocument {
	if st == nil {
		return nil
	}
	d := &pageDocument{Digest: hex.EncodeToString(st.Subject.SHA256[:]), Name: st.Subject.Name, Of: string(st.Kind), Private: st.CommitsToDocument()}
	if doc := st.Document; doc != nil {
		d.Name, d.MediaType, d.URLs = cmp.Or(doc.Name, d.Name), doc.MediaType, doc.URL
		if doc.Bytes != nil {
			d.Bytes = strconv.FormatInt(*doc.Bytes, 10) + " bytes"
		}
	}
	return d
}

// member is one member of a statement, for people: a text, or members of its own.
type member struct {
	Name  string
	Text  string
	URL   string // where what the text names has a page
	Code  bool
	Lines bool // of several lines
	Items []member
}

// hiddenMembers are those that a page of a record says elsewhere.
var hiddenMembers = []string{"ledger", "thread", "issuer", "issuedAt", "follows", "document"}

// membersOf reads a predicate for people.
func membersOf(st *record.Statement) []member {
	var list []member
	for _, m := range st.Object() {
		if !slices.Contains(hiddenMembers, m.Name) {
			list = append(list, memberOf(m.Name, m.Value))
		}
	}
	return list
}

func memberOf(name string, value any) member {
	m := member{Name: memberWords(name)}
	switch v := value.(type) {
	case schema.Object:
		if c, ok := v.Lookup("commit").(string); ok && len(v) == 1 {
			m.Text, m.Code = "committed, and not told: "+c, true
			return m
		}
		for _, inner := range v {
			one := memberOf(inner.Name, inner.Value)
			if inner.Name == "holder" && v.Lookup("key") != nil {
				one.URL = "" // somebody who holds a key of a party, and no party
			}
			m.Items = append(m.Items, one)
		}
	case []any:
		scalar := true
		for _, item := range v {
			if _, ok := item.(schema.Object); ok {
				scalar = false
			}
		}
		if !scalar || len(v) == 1 {
			for i, item := range v {
				one := memberOf(name, item)
				if one.Name = strconv.Itoa(i + 1); len(v) == 1 {
					one.Name = m.Name
					return one
				}
				m.Items = append(m.Items, one)
			}
			return m
		}
		for _, item := range v {
			one := memberOf(name, item)
			one.Name = ""
			m.Items = append(m.Items, one)
		}
	case bool:
		m.Text = map[bool]string{true: "yes", false: "no"}[v]
	case string:
		m.Text, m.Lines = v, strings.Contains(v, "\n")
		if key, err := record.PEM(v).Key(); err == nil {
			m.Text, m.Code, m.Lines = key.ID(), true, false
			break
		}
		m.URL = memberURL(name, v)
		m.Code = strings.HasPrefix(m.URL, "/records/") || len(v) >= 40 && !strings.ContainsAny(v, " \n")
	default:
		m.Text = fmt.Sprint(v)
		if name == "asn" {
			m.URL = identifierURL(register.SchemeASN, m.Text)
		}
	}
	return m
}

// memberURL is the page of what a member names, "" where it has none.
func memberURL(name, value string) string {
	switch name {
	case "holder", "auditee", "provider", "sponsor":
		if record.PartyThread(value).Party() != "" {
			return partyURL(value)
		}
	case "designations":
		return designationURL(value)
	case "jurisdiction", "country":
		return jurisdictionURL(value)
	case "lei":
		return identifierURL(register.SchemeLEI, value)
	case "domain":
		return identifierURL(register.SchemeDomain, value)
	case "evidence", "request", "record":
		if id, err := record.ParseID(value); err == nil {
			return "/records/" + id.String()
		}
	}
	return ""
}
