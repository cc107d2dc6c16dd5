package csl

import (
	"fmt"
	"regexp"
	"strings"
)

// abbreviation is how a source list is called for short: what stands in the first
// parentheses of its name, "Entity List (EL) - Bureau of Industry and Security".
var abbreviation = regexp.MustCompile(`^[^()]*\(([A-Za-z0-9][A-Za-z0-9.-]*)( List)?\)`)

// abbreviationOf is that abbreviation in lower case, which names the list: "el". A source
// that is new to this program is named in the same way.
func abbreviationOf(source string) (string, error) {
	m := abbreviation.FindStringSubmatch(source)
	if m == nil {
		return "", fmt.Errorf("column source: %q has no abbreviation in parentheses, as in \"Entity List (EL)\"", source)
	}
	return strings.ToLower(m[1]), nil
}

// A sourceName is how the publication names one of its source lists, and where its
// department publishes it.
type sourceName struct {
	source, listURL, informationURL string
}

const (
	ofacConsolidated = "https://sanctionslist.ofac.treas.gov/Home/ConsolidatedList"
	ofacOther        = "https://ofac.treasury.gov/other-ofac-sanctions-lists"
	ofacSDN          = "https://home.treasury.gov/policy-issues/financial-sanctions/specially-designated-nationals-and-blocked-persons-list-sdn-human-readable-lists"
	bis              = "https://www.bis.doc.gov/index.php/policy-guidance/lists-of-parties-of-concern"
	ddtc             = "https://www.pmddtc.state.gov/ddtc_public?id=ddtc_kb_article_page&sys_id=c22d1833dbb8d300d0a370131f9619f0"
	isn              = "https://www.state.gov/key-topics-bureau-of-international-security-and-nonproliferation/nonproliferation-sanctions/"
)

// sourceNames are the source lists that are known, by their list's name, and OFAC's own
// lists: what was imported from its files is no entry of the source list that republishes
// it, and read from here it must not become one.
var sourceNames = map[string]sourceName{
	"csl-sdn":    {"Specially Designated Nationals (SDN) - Treasury Department", "https://sanctionslist.ofac.treas.gov/Home/SdnList", ofacSDN},
	"csl-ssi":    {"Sectoral Sanctions Identifications List (SSI) - Treasury Department", ofacConsolidated, ofacOther},
	"csl-fse":    {"Foreign Sanctions Evaders (FSE) - Treasury Department", ofacConsolidated, ofacOther},
	"csl-plc":    {"Palestinian Legislative Council List (PLC) - Treasury Department", ofacConsolidated, ofacOther},
	"csl-cap":    {"Capta List (CAP) - Treasury Department", ofacConsolidated, ofacOther},
	"csl-ns-mbs": {"Non-SDN Menu-Based Sanctions List (NS-MBS List) - Treasury Department", ofacConsolidated, ofacOther},
	"csl-cmic":   {"Non-SDN Chinese Military-Industrial Complex Companies List (CMIC) - Treasury Department", ofacConsolidated, ofacOther},
	"csl-el":     {"Entity List (EL) - Bureau of Industry and Security", bis + "/entity-list", bis + "/entity-list"},
	"csl-dpl":    {"Denied Persons List (DPL) - Bureau of Industry and Security", "https://www.bis.doc.gov/index.php/the-denied-persons-list", bis + "/denied-persons-list"},
	"csl-uvl":    {"Unverified List (UVL) - Bureau of Industry and Security", bis + "/unverified-list", bis + "/unverified-list"},
	"csl-meu":    {"Military End User (MEU) List - Bureau of Industry and Security", bis, bis},
	"csl-isn":    {"Nonproliferation Sanctions (ISN) - State Department", isn, isn},
	"csl-dtc":    {"ITAR Debarred (DTC) - State Department", ddtc, ddtc},
	"ofac-sdn":   {"Specially Designated Nationals, from OFAC's own files (OFAC-SDN) - Treasury Department", "https://sanctionslist.ofac.treas.gov/Home/SdnList", ofacSDN},
	"ofac-cons":  {"Consolidated non-SDN lists, from OFAC's own files (OFAC-CONS) - Treasury Department", ofacConsolidated, ofacOther},
}
