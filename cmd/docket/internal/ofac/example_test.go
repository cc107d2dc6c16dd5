package ofac_test

import (
	"fmt"
	"log"
	"os"

	"github.com/seed-53cf897a/docket/cmd/docket/internal/listimport"
	"github.com/seed-53cf897a/docket/cmd/docket/internal/ofac"
)

func ExampleRead() {
	var files [3]listimport.Input
	for i, name := range []string{"sdn.csv", "add.csv", "alt.csv"} {
		f, err := os.Open("testdata/" + name)
		if err != nil {
			log.Fatal(err)
		}
		defer f.Close()
		files[i] = listimport.Input{Name: name, Reader: f}
	}
	list, err := ofac.Read(ofac.SDN, files[0], files[1], files[2])
	if err != nil {
		log.Fatal(err)
	}
	for _, e := range list.Entries {
		fmt.Println(e.ID, e.Target.Schema, e.Target.Name, e.Program)
	}
	// Output:
	// 101 Organization AEROKESTREL AIRLINES [CUBA]
	// 102 Organization KESTREL HOSTING "KH" FZ-LLC [NPWMD IFSR]
	// 205 Person HARBOUR, Jane Doe [SDGT]
	// 310 Vessel MV KESTREL [DPRK4]
	// 411 Airplane EP-KST [SDGT IFSR]
}
