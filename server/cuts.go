package server

import (
	"bytes"
	"fmt"
	"html/template"
	"reflect"
	"sync"
)

// A page has at most maxPageBytes, whatever others have signed: a name can have as many characters as an entry holds,
// and one that is not seen takes twenty times its bytes to show. A page that turns out larger is rendered anew with
// less of each text and of each list, until it fits; it says so, and the JSON has all.
const maxPageBytes = 60_000

// pageCut is how much a page shows of one thing.
type pageCut struct {
	text  int // bytes of HTML of a text
	brief int // of one in a list
	items int // of a list in a thing
	exact int // bytes of HTML of what was signed, as it was; a longer one is not shown
}

var pageCuts = []pageCut{
	{text: 20_000, brief: 400, items: 200, exact: 20_000},
	{text: 1_000, brief: 200, items: 40, exact: 5_000},
	{text: 250, brief: 120, items: 10},
	{text: 120, brief: 80, items: 3},
}

// cutTemplates are the pages by cut, each parsed once somebody asks for one: that takes longer than all else that docket
// does before it reads its command line, and few commands serve pages. All but the first cut are seldom used.
var cutTemplates = func() (list []func() map[string]*template.Template) {
	for i := range pageCuts {
		list = append(list, sync.OnceValue(func() map[string]*template.Template { return parsePages(i) }))
	}
	return list
}()

// cutWords are the words of the templates that depend on the cut.
func cutWords(cut int) template.FuncMap {
	c := pageCuts[cut]
	return template.FuncMap{
		"shown":  func(s string) template.HTML { return clippedText(s, c.text) },
		"said":   func(s string) template.HTML { return datedHTML(clippedText(s, c.text)) },
		"brief":  func(s any) template.HTML { return clippedText(fmt.Sprint(s), c.brief) },
		"few":    func(list any) any { return firstItems(list, c.items) },
		"rest":   func(list any) int { return max(0, reflect.ValueOf(list).Len()-c.items) },
		"exact":  func(s string) string { return exactText(s, c.exact) },
		"clip":   clipText,
		"cutOff": func() bool { return cut > 0 },
	}
}

func firstItems(list any, most int) any {
	v := reflect.ValueOf(list)
	return v.Slice(0, min(v.Len(), most)).Interface()
}

// exactText is a text that is shown whole, or not at all.
func exactText(s string, most int) string {
	if len(s) > most || len(template.HTMLEscapeString(s)) > most {
		return ""
	}
	return s
}

// renderPage renders a page with as little cut off as fits.
func renderPage(name string, data page) ([]byte, error) {
	for cut, templates := range cutTemplates {
		var body bytes.Buffer
		if err := templates()[name].Execute(&body, data); err != nil {
			return nil, fmt.Errorf("rendering the page %s: %w", name, err)
		}
		if body.Len() <= maxPageBytes || cut == len(cutTemplates)-1 {
			return body.Bytes(), nil
		}
	}
	panic("there is a last cut")
}
