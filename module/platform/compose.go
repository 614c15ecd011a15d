package platform

// Compose is what Docker Compose says of the Platform: how it is to be run, and what a start would make. It holds no secret.
type Compose struct {
	Project        string                    `json:"project"`
	Dir            string                    `json:"dir"`
	Files          []string                  `json:"files"`
	EnvFiles       []string                  `json:"env_files"`
	Profiles       []string                  `json:"profiles"`
	Version        string                    `json:"version"`
	Mounts         map[string][]string       `json:"mounts"` // by service: source:target, sorted; the source is a path or the name of a volume
	Services       map[string]ComposeService `json:"services"`
	KeepsAddresses []string                  `json:"keeps_addresses"` // services that may keep the address of a backend: to be restarted after it
}

// ComposeService is one service of the compose file.
type ComposeService struct {
	DependsOn []string `json:"depends_on"`
	Running   bool     `json:"running"`
	Enabled   bool     `json:"enabled"` // a plain docker compose up starts it
	Image     string   `json:"image"`
}
