package preflight

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/seqera-tools/crypto-rotation/module/proof"
	"github.com/seqera-tools/crypto-rotation/module/secret"
)

const towerYML = "/home/ec2-user/target/tower.yml"

func holder(service string, role proof.Role, environment ...string) Container {
	c := Container{
		Name: "ec2-user-" + service + "-1", Service: service, Role: role, Running: true, Addresses: []string{"172.18.0.5"},
		Environment: map[string]secret.Secret{"TOWER_ENABLE_AWS_SSM": secret.New("true")}, Mounts: []Mount{{Source: towerYML, Target: "/tower.yml"}},
	}
	for _, entry := range environment {
		name, value, _ := strings.Cut(entry, "=")
		c.Environment[name] = secret.New(value)
	}
	return c
}

func able() Facts {
	return Facts{
		App: "tower-template", Version: "26.1.3", Image: "x/backend:v26.1.3", Asked: 1, Sessions: &Sessions{Database: "db:3306/tower", Own: "172.18.0.1", Hosts: []string{"172.18.0.5"}},
		Settings: map[string]string{towerYML: "micronaut:\n  application:\n    name: tower-template\n"},
		Containers: []Container{
			holder("backend", proof.RoleBackend, "MICRONAUT_ENVIRONMENTS=prod,redis,ha,,,"), holder("cron", proof.RoleCron, "MICRONAUT_ENVIRONMENTS=prod,redis,cron,,,"),
			{Name: "ec2-user-wave-lite-1", Service: "wave-lite", Role: proof.RoleOther, Environment: map[string]secret.Secret{"MICRONAUT_ENVIRONMENTS": secret.New("lite")}},
			{Name: "ec2-user-groundswell-1", Service: "groundswell", Role: proof.RoleOther, Environment: map[string]secret.Secret{"TOWER_DB_URL": secret.New("jdbc:mysql://db")}},
		},
	}
}

func TestEachReasonWhyAPlatformCannotRotateIsASentence(t *testing.T) {
	set := func(index int, entry string) func(*Facts) {
		return func(f *Facts) {
			name, value, _ := strings.Cut(entry, "=")
			f.Containers[index].Environment[name] = secret.New(value)
		}
	}
	unset := func(index int, name string) func(*Facts) {
		return func(f *Facts) { delete(f.Containers[index].Environment, name) }
	}
	for _, test := range []struct {
		name     string
		edit     func(*Facts)
		problems []string
		warnings []string
	}{
		{name: "able", edit: func(*Facts) {}},
		{name: "before 25.2 (V13)", edit: func(f *Facts) { f.Version = "25.1.5" }, problems: []string{"This Platform is version 25.1.5 (according to service-info), but rotation requires 25.2 or later."}},
		{name: "before 25.2, by the tag", edit: func(f *Facts) { f.Version, f.Image = "", "cr.seqera.io:443/x/backend:v24.2.3" }, problems: []string{"24.2.3 (according to the tag of cr.seqera.io:443/x/backend:v24.2.3)"}},
		{name: "25.2 itself", edit: func(f *Facts) { f.Version = "25.2.0-rc1" }},
		{name: "by digest (V13)", edit: func(f *Facts) { f.Version, f.Image = "", "cr.seqera.io:443/x/backend@sha256:0" }, warnings: []string{"The version of this Platform is not known"}},
		{name: "a word for a tag", edit: func(f *Facts) { f.Version, f.Image = "", "x/backend:latest" }, warnings: []string{"not known"}},
		{name: "SSM is off (V6a, case 10)", edit: unset(0, "TOWER_ENABLE_AWS_SSM"), problems: []string{"Container ec2-user-backend-1 does not read SSM"}},
		{name: "cron alone has SSM off", edit: set(1, "TOWER_ENABLE_AWS_SSM=false"), problems: []string{"Container ec2-user-cron-1 does not read SSM"}},
		{name: "a key next to SSM (V6b)", edit: set(0, "TOWER_CRYPTO_SECRETKEY="+canary), warnings: []string{"also has TOWER_CRYPTO_SECRETKEY in its environment"}},
		{name: "leftover in the environment (V6c)", edit: set(1, "TOWER_SECRET_ROTATION_ENABLED="+canary), problems: []string{"Container ec2-user-cron-1 has TOWER_SECRET_ROTATION_ENABLED in its environment"}},
		{name: "leftover in tower.yml", edit: func(f *Facts) {
			f.Settings[towerYML] += "tower:\n  secret-rotation:\n    enabled: true\n"
		}, problems: []string{towerYML + " has settings of a rotation (tower.secret-rotation), which would remain"}},
		{name: "leftover in tower.yml, in camel case", edit: func(f *Facts) { f.Settings[towerYML] += "tower.secretRotation.previousKey: " + canary + "\n" }, problems: []string{"which would remain"}},
		{name: "leftover in tower.yml, in flow style", edit: func(f *Facts) {
			f.Settings[towerYML] += "tower: {crypto: {secretKey: " + canary + "}, secret-rotation: {enabled: true}}\n"
		}, problems: []string{"which would remain"}},
		{name: "a comment is no leftover", edit: func(f *Facts) { f.Settings[towerYML] += "tower:\n  # secret-rotation:\n  x: 1 # secret-rotation: 2\n" }},
		{name: "tower.yml is not readable", edit: func(f *Facts) {
			f.Settings, f.Unreadable = nil, map[string]string{towerYML: "permission denied"}
		}, warnings: []string{"cannot be read (permission denied)", "The application name of container ec2-user-backend-1 is not known"}},
		{name: "a parameter that overrides (O9, case 27)", edit: func(f *Facts) { f.Overriding = []string{"/config/tower-template_prod/tower/crypto/secretKey"} }, problems: []string{"The SSM parameter /config/tower-template_prod/tower/crypto/secretKey overrides a parameter of the rotation"}},
		{name: "overrides cannot be looked for", edit: func(f *Facts) { f.OverridingUnknown = "ssm:GetParameters is not allowed." }, warnings: []string{"It was not checked whether other parameters override"}},
		{name: "another application", edit: func(f *Facts) { f.App = "tower" }, problems: []string{"has the application name tower-template (from " + towerYML + "), but app_name is tower, so the container reads other parameters. Set app_name to tower-template.", "Container ec2-user-cron-1 has the application name"}},
		{name: "another application, by the environment", edit: set(1, "MICRONAUT_APPLICATION_NAME=other"), problems: []string{"Container ec2-user-cron-1 has the application name other (from MICRONAUT_APPLICATION_NAME)"}},
		{name: "a name with a placeholder", edit: func(f *Facts) { f.Settings[towerYML] = "micronaut.application.name: ${NAME:tower}\n" }, warnings: []string{"is not known"}},
		{name: "names exchanged (V12)", edit: func(f *Facts) {
			f.Containers[0].Role, f.Containers[1].Role = proof.RoleCron, proof.RoleBackend
		}, problems: []string{"names backend as cron", "names cron as a backend"}},
		{name: "cron in the env file of both", edit: set(0, "MICRONAUT_ENVIRONMENTS=prod,ha,cron"), problems: []string{"names backend as a backend"}},
		{name: "no environments", edit: unset(0, "MICRONAUT_ENVIRONMENTS"), warnings: []string{"its role is known only from the name of its service"}},
		{name: "a second cron", edit: func(f *Facts) {
			second := f.Containers[1]
			second.Name = "ec2-user-cron-2"
			f.Containers = append(f.Containers, second)
		}, problems: []string{"There are 2 cron containers (ec2-user-cron-1 and ec2-user-cron-2)"}},
		{name: "a Platform container that nobody names (V12)", edit: func(f *Facts) {
			f.Containers = append(f.Containers, holder("tower-api", proof.RoleOther, "MICRONAUT_ENVIRONMENTS=prod,redis,ha"))
		}, problems: []string{"does not name its service tower-api"}},
		{name: "an unhealthy backend", edit: func(f *Facts) { f.Unhealthy = map[string]string{"ec2-user-backend-1": "status 503"} }, problems: []string{"Backend ec2-user-backend-1 is not healthy: status 503."}},
		{name: "no backend was asked", edit: func(f *Facts) { f.Asked = 0 }, warnings: []string{"The health of the backends was not checked"}},
		{
			name: "a session from elsewhere during a rotation",
			edit: func(f *Facts) { f.Rotates, f.Sessions.Hosts = true, []string{"10.0.0.9"} }, warnings: []string{"The database db:3306/tower has sessions from other hosts (10.0.0.9)."},
		},
		{name: "a session from elsewhere", edit: func(f *Facts) { f.Sessions.Hosts = []string{"172.18.0.5", "10.0.0.9"} }, problems: []string{"The database db:3306/tower has sessions from other hosts (10.0.0.9)."}},
		{name: "a session of a cron that has just started again", edit: func(f *Facts) {
			again := f.Containers[1]
			again.Addresses = []string{"172.18.0.9"}
			f.Sessions.Hosts, f.Sessions.Containers = []string{"172.18.0.9"}, []Container{again}
		}},
		{
			name: "a backend that is not healthy while a rotation is under way", edit: func(f *Facts) {
				f.Rotates, f.Unhealthy = true, map[string]string{"app-backend-1": "status 503"}
			},
			warnings: []string{"Backend app-backend-1 is not healthy: status 503. The running rotation continues"},
		},
		{name: "sessions by name", edit: func(f *Facts) {
			f.Sessions.Hosts = []string{"ec2-user-backend-1.ec2-user_backend", "localhost", "172.18.0.1"}
		}},
		{name: "sessions that nobody saw", edit: func(f *Facts) { f.Sessions = nil }, warnings: []string{"It is not known who else uses the database."}},
	} {
		t.Run(test.name, func(t *testing.T) {
			facts := able()
			test.edit(&facts)
			got := Unsuitable(facts)
			if assert.Len(t, got.Problems, len(test.problems), got.Problems) {
				for i, want := range test.problems {
					assert.Contains(t, got.Problems[i], want)
				}
			}
			whole := strings.Join(got.Warnings, "\n")
			for _, want := range test.warnings {
				assert.Contains(t, whole, want)
			}
			if test.warnings == nil {
				assert.Empty(t, got.Warnings)
			}
			failed := 0
			for _, evidence := range got.Evidence {
				assert.NotEmpty(t, evidence.Detail, evidence.Check)
				if !evidence.OK {
					failed++
				}
			}
			assert.Len(t, got.Evidence, 8)
			assert.Equal(t, len(test.problems) > 0, failed > 0)
			assert.NotContains(t, strings.Join(got.Problems, " ")+whole, canary)
		})
	}
}

func TestNamesThatOverrideOursAreThoseOfEachEnvironmentAndTheDottedOnes(t *testing.T) {
	containers := []Container{holder("backend", proof.RoleBackend, "MICRONAUT_ENVIRONMENTS=prod,ha,"), holder("x", proof.RoleOther, "MICRONAUT_ENVIRONMENTS=lite")}
	assert.Equal(t, []string{
		"/config/app/tower.crypto.secretKey", "/config/app_ha/tower/crypto/secretKey", "/config/app_ha/tower.crypto.secretKey", "/config/app_prod/tower/crypto/secretKey", "/config/app_prod/tower.crypto.secretKey",
	}, Overriding(containers, "/config/app", []string{"/config/app/tower/crypto/secretKey", ""}))
}

func TestTheApplicationNameIsFoundHoweverItIsWritten(t *testing.T) {
	for text, want := range map[string]string{
		"micronaut:\n  application:\n    name: tower\n":                                     "tower",
		"# x\nmicronaut:\n  server:\n    name: no\n  application:\n    name: 'tower' # y\n": "tower",
		"micronaut.application.name: \"tower\"\n":                                           "tower",
		"micronaut:\n  application.name: tower\n":                                           "tower",
		"tower:\n  application:\n    name: no\n":                                            "",
		"micronaut:\n  application:\n    names: no\nname: no\n":                             "",
		"": "",
	} {
		assert.Equal(t, want, applicationName(text), text)
	}
}
