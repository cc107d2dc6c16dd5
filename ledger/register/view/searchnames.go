package view

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register"
	"github.com/seed-53cf897a/docket/ledger/register/screen"
)

// lookUpParts looks for the threads that bear or bore a text of which each word begins one.
func (s *search) lookUpParts() error {
	value := s.form.Own
	if s.form.Latin != s.form.Own {
		value += " / " + s.form.Latin
	}
	s.compare("words", value, HowPart)
	for _, words := range []string{s.form.Own, s.form.Latin} {
		threads, err := s.rarest(strings.Fields(words))
		if err != nil {
			return err
		}
		for _, thread := range threads {
			if err := s.match(thread); err != nil {
				return err
			}
		}
		if s.form.Latin == s.form.Own {
			break
		}
	}
	return nil
}

// rarest are the threads that bear or bore a text with the rarest of the words, by which all
// others are to be found too. Words are tried in order of their length.
func (s *search) rarest(words []string) (threads []record.Thread, err error) {
	slices.SortStableFunc(words, func(a, b string) int { return cmp.Compare(utf8.RuneCountInString(b), utf8.RuneCountInString(a)) })
	words = slices.Compact(words)
	words = words[:min(len(words), maxSearchWords)]
	for most := 8; ; most = min(4*most, maxSearchThreads) {
		for _, word := range words {
			threads = nil
			distinct, all := make(map[record.Thread]bool), true
			err := s.v.rows.ThreadsByWord(word, func(thread record.Thread) (bool, error) {
				if distinct[thread] {
					return true, nil
				}
				if all = len(threads) < most; all {
					distinct[thread] = true
					threads = append(threads, thread)
				}
				return all, nil
			})
			switch {
			case err != nil || all:
				return threads, err
			case most == maxSearchThreads && len(words) == 1:
				s.more(word)
				return threads, nil
			}
		}
		if len(words) == 0 {
			return nil, nil
		}
		if most == maxSearchThreads {
			words = words[:1] // the longest, once more: none is rare
		}
	}
}

// match adds a thread that bears or bore a text of which each word that is looked for begins a
// word.
func (s *search) match(thread record.Thread) error {
	if s.seen[thread] {
		return nil
	}
	s.seen[thread] = true
	texts, err := s.textsOf(thread)
	if err != nil {
		return err
	}
	forms := make([]screen.Form, len(texts))
	written := false // some text is covered as it is written: transliterations of it say less
	for i, t := range texts {
		forms[i] = screen.FormOf(t.Text)
		asWritten, _ := s.form.CoveredBy(forms[i])
		written = written || asWritten
	}
	for i, t := range texts {
		asWritten, inLatin := s.form.CoveredBy(forms[i])
		if !asWritten && (written || !inLatin) {
			continue
		}
		way := HowPart
		if t.Scheme == register.SchemeName && forms[i].Own == s.form.Own {
			way = howUsed(t.Use)
		}
		if err := s.add(thread, Hit{How: way, Scheme: t.Scheme, Matched: t.Text, Weak: t.Use == register.IdentifierWeak}); err != nil {
			return err
		}
	}
	return nil
}

// howUsed is the way in which a whole name matches by its use.
func howUsed(use register.IdentifierUse) How {
	switch use {
	case register.IdentifierCurrent:
		return HowExact
	case register.IdentifierAlias, register.IdentifierWeak:
		return HowAlias
	}
	return HowFormer
}

// lookUpSimilar looks for threads with a name that screening finds similar.
func (s *search) lookUpSimilar() error {
	s.compare(register.SchemeName, strings.Join(strings.Fields(s.form.Latin), " "), HowSimilar)
	shared := make(map[record.Thread]int)
	for _, key := range register.SimilarKeys(s.text) {
		n := 0
		err := s.v.rows.ThreadsBySimilarKey(key, func(thread record.Thread) (bool, error) {
			shared[thread]++
			n++
			return n < maxSimilarRows, nil
		})
		if err != nil {
			return err
		}
	}
	threads := slices.SortedFunc(maps.Keys(shared), func(a, b record.Thread) int {
		return cmp.Or(cmp.Compare(shared[b], shared[a]), cmp.Compare(a, b))
	})
	from := SimilarFrom
	for _, h := range s.hits {
		if h.How != HowPart {
			from = screen.Threshold // somebody is called so
		}
	}
	var similar []screen.Hit
	for _, thread := range threads[:min(len(threads), maxSimilar)] {
		if s.hits[string(thread)] != nil {
			continue
		}
		texts, err := s.textsOf(thread)
		if err != nil {
			return err
		}
		if h := screen.Compare(screen.Query{Name: s.text}, subjectOf(thread, texts)); h.Score >= from {
			similar = append(similar, h)
		}
	}
	slices.SortFunc(similar, func(a, b screen.Hit) int {
		return cmp.Or(cmp.Compare(b.Score, a.Score), cmp.Compare(a.Subject.Thread, b.Subject.Thread))
	})
	for _, h := range similar[:min(len(similar), maxSimilarHits)] {
		err := s.add(record.Thread(h.Subject.Thread), Hit{How: HowSimilar, Scheme: register.SchemeName, Matched: h.Name.Text, Weak: h.Name.Use == screen.Weak, Score: h.Score})
		if err != nil {
			return err
		}
	}
	return nil
}

// textsOf are the texts by which a thread is found, former names last.
func (s *search) textsOf(thread record.Thread) ([]register.SearchText, error) {
	row, err := s.v.rows.Thread(thread)
	if err != nil || row == nil {
		return nil, err
	}
	texts := row.SearchTexts()
	name, _, renamed := describe(row)
	if !renamed {
		return texts, nil
	}
	former, more, err := s.v.rows.FormerNames(row.Thread, name, maxSearchFormer)
	if more {
		s.more(name)
	}
	for _, n := range former {
		texts = append(texts, register.SearchText{Scheme: register.SchemeName, Text: n, Use: register.IdentifierFormer})
	}
	return texts, err
}

// subjectOf are the names of a thread, as screening compares them.
func subjectOf(thread record.Thread, texts []register.SearchText) *screen.Subject {
	subject := &screen.Subject{Thread: string(thread)}
	for _, t := range texts {
		if t.Scheme == register.SchemeName {
			subject.Names = append(subject.Names, screen.Name{Text: t.Text, Use: screenUses[t.Use]})
		}
	}
	return subject
}

var screenUses = map[register.IdentifierUse]screen.Use{
	register.IdentifierCurrent: screen.Current, register.IdentifierAlias: screen.Alias,
	register.IdentifierWeak: screen.Weak, register.IdentifierFormer: screen.Former,
}
