package keep

import (
	"embed"
	"encoding/json"
	"fmt"
	"sync"

	"trustcore/verify"
)

//go:embed messages/*.json
var messages embed.FS

// words are what reports say beside the verdict's own sentences, by language. The files are part of the program, so a
// fault in them is a fault of the build.
var words = sync.OnceValue(func() map[string]map[string]string {
	all := map[string]map[string]string{}
	for _, language := range verify.Languages {
		data, err := messages.ReadFile("messages/" + language + ".json")
		var list map[string]string
		if err == nil {
			err = json.Unmarshal(data, &list)
		}
		if err != nil {
			panic(fmt.Sprintf("keep: words of %s: %v", language, err))
		}
		all[language] = list
	}
	return all
})
