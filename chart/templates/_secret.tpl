{{- /*
Credentials: what the values give ends in `<fullname>-secret`; what is in somebody else's Secret is
read from there. All helpers take the root context unless they say otherwise.
*/}}

{{- define "docker-registry.secret.name" -}}
{{- include "docker-registry.fullname" . }}-secret
{{- end }}

{{- /* docker-registry.existingSecret: a Secret of the user in place of `<fullname>-secret`, or nothing. */}}
{{- define "docker-registry.existingSecret" -}}
{{- include "docker-registry.renderedText" (list . .Values.existingSecret) }}
{{- end }}

{{- /*
docker-registry.sharedSecretRef (list ROOT SECRET): where replicas have what they sign uploads with;
SECRET is the chart's own, or a copy of it.
*/}}
{{- define "docker-registry.sharedSecretRef" -}}
{{- $root := index . 0 }}
{{- $ref := $root.Values.secrets.haSharedSecretRef }}
{{- $name := include "docker-registry.renderedText" (list $root $ref.name) }}
{{- $existing := include "docker-registry.existingSecret" $root }}
{{- if $name }}
{{- toYaml (dict "name" $name "key" ($ref.key | default "haSharedSecret")) }}
{{- else }}
{{- toYaml (dict "name" ($existing | default (index . 1)) "key" "haSharedSecret") }}
{{- end }}
{{- end }}

{{- /* docker-registry.sharedSecret: what the values say it is; the README of stable had it at the top. */}}
{{- define "docker-registry.sharedSecret" -}}
{{- .Values.secrets.haSharedSecret | default .Values.haSharedSecret }}
{{- end }}

{{- /*
docker-registry.credentials: a list of {env, key, given, ref, optional}: the variable that a credential
becomes, its key in `<fullname>-secret`, what the values say, the place in another Secret (`ref`), and
whether it may be missing there.
*/}}
{{- define "docker-registry.credentials" -}}
{{- $found := list }}
{{- range include "docker-registry.credentials.sections" . | fromYamlArray }}
{{- $section := . }}
{{- $from := .from | default dict }}
{{- $complete := true }}
{{- range .fields }}
{{- $complete = and $complete (not (empty (get $from .))) }}
{{- end }}
{{- $name := include "docker-registry.renderedText" (list $ $from.secretRef) }}
{{- $existing := include "docker-registry.existingSecret" $ }}
{{- range .fields }}
{{- $key := printf "%s%s%s" $section.own (substr 0 1 . | upper) (substr 1 -1 .) }}
{{- $ref := dict }}
{{- if $name }}
{{- $ref = dict "name" $name "key" (get ($from.secretKeys | default dict) . | default $key) }}
{{- else if $existing }}
{{- $ref = dict "name" $existing "key" $key }}
{{- end }}
{{- $optional := or (empty $name) (has . ($section.optional | default list)) }}
{{- $given := include (ternary "docker-registry.text" "docker-registry.scalar" (eq $section.own "gcs")) (get $from .) }}
{{- if and $section.together (not $complete) }}
{{- $given = "" }}
{{- end }}
{{- $found = append $found (dict "env" (printf "%s%s" $section.prefix (upper .)) "key" $key "given" $given "ref" $ref "optional" $optional) }}
{{- end }}
{{- end }}
{{- toYaml $found }}
{{- end }}

{{- /*
docker-registry.credentials.sections: which fields of which values are credentials of what is in use.
`own` begins their keys in `<fullname>-secret`. `together`: one of them alone is none. A driver's
secret that is given among its options is one too; Google's is a map, which must stay one.
*/}}
{{- define "docker-registry.credentials.sections" -}}
{{- $secrets := .Values.secrets }}
{{- $options := include "docker-registry.driverOptions.given" . | fromYaml }}
{{- $sections := list }}
{{- if eq .Values.storage "s3" }}
{{- $from := include "docker-registry.withFallback" (list $secrets.s3 (dict "accessKey" $options.accesskey "secretKey" $options.secretkey)) | fromYaml }}
{{- $sections = append $sections (dict "prefix" "REGISTRY_STORAGE_S3_" "own" "s3" "from" $from "fields" (list "accessKey" "secretKey") "together" true) }}
{{- else if eq .Values.storage "azure" }}
{{- $from := include "docker-registry.withFallback" (list $secrets.azure (dict "accountName" $options.accountname "accountKey" $options.accountkey "container" $options.container "connectionString" $options.connectionstring)) | fromYaml }}
{{- $identity := $options.credentials }}
{{- $type := include "docker-registry.text" $identity.type | default "shared_key" }}
{{- $fields := list "accountName" "container" }}
{{- if eq $type "shared_key" }}
{{- $fields = append $fields "accountKey" }}
{{- end }}
{{- $sections = append $sections (dict "prefix" "REGISTRY_STORAGE_AZURE_" "own" "azure" "from" $from "fields" $fields "optional" (list "accountName" "container")) }}
{{- if $from.connectionString }}
{{- $sections = append $sections (dict "prefix" "REGISTRY_STORAGE_AZURE_" "own" "azure" "from" (dict "connectionString" $from.connectionString) "fields" (list "connectionString")) }}
{{- end }}
{{- if or $identity.secret (eq $type "client_secret") }}
{{- $client := dict "secret" $identity.secret "secretRef" $from.secretRef "secretKeys" (dict "secret" (get ($from.secretKeys | default dict) "clientSecret" | default "azureClientSecret")) }}
{{- $sections = append $sections (dict "prefix" "REGISTRY_STORAGE_AZURE_CREDENTIALS_" "own" "azureClient" "from" $client "fields" (list "secret")) }}
{{- end }}
{{- else if eq .Values.storage "gcs" }}
{{- if and $options.credentials (kindIs "map" $options.credentials) }}
{{- $sections = append $sections (dict "prefix" "REGISTRY_STORAGE_GCS_" "own" "gcs" "from" (dict "credentials" (toJson $options.credentials)) "fields" (list "credentials")) }}
{{- end }}
{{- else if eq .Values.storage "swift" }}
{{- $from := include "docker-registry.withFallback" (list $secrets.swift (dict "username" $options.username "password" $options.password)) | fromYaml }}
{{- $sections = append $sections (dict "prefix" "REGISTRY_STORAGE_SWIFT_" "own" "swift" "from" $from "fields" (list "username" "password")) }}
{{- end }}
{{- if .Values.proxy.enabled }}
{{- $sections = append $sections (dict "prefix" "REGISTRY_PROXY_" "own" "proxy" "from" .Values.proxy "fields" (list "username" "password") "together" true) }}
{{- end }}
{{- with .Values.redis }}
{{- if or .addrs .password .secretRef .sentinel.password (eq (include "docker-registry.cacheKind" $) "redis") }}
{{- $from := dict "username" .username "password" .password "sentinelPassword" .sentinel.password "secretRef" .secretRef "secretKeys" .secretKeys }}
{{- $sections = append $sections (dict "prefix" "REGISTRY_REDIS_" "own" "redis" "from" $from "fields" (list "username" "password" "sentinelPassword") "optional" (list "username" "sentinelPassword")) }}
{{- end }}
{{- end }}
{{- toYaml $sections }}
{{- end }}

{{- /* docker-registry.withFallback (list MAP FALLBACK): as YAML, what MAP lacks from FALLBACK. */}}
{{- define "docker-registry.withFallback" -}}
{{- $map := deepCopy (index . 0 | default dict) }}
{{- range $key, $value := index . 1 }}
{{- if and $value (not (get $map $key)) }}
{{- $_ := set $map $key $value }}
{{- end }}
{{- end }}
{{- toYaml $map }}
{{- end }}

{{- /*
docker-registry.credentialsEnv (list ROOT SECRET): the variables of all credentials; those that the
values give, from SECRET.
*/}}
{{- define "docker-registry.credentialsEnv" -}}
{{- $secret := index . 1 }}
{{- $env := list }}
{{- range include "docker-registry.credentials" (index . 0) | fromYamlArray }}
{{- if .ref }}
{{- $ref := .optional | ternary (merge (dict "optional" true) .ref) .ref }}
{{- $env = append $env (dict "name" .env "valueFrom" (dict "secretKeyRef" $ref)) }}
{{- else if .given }}
{{- $env = append $env (dict "name" .env "valueFrom" (dict "secretKeyRef" (dict "name" $secret "key" .key))) }}
{{- end }}
{{- end }}
{{- toYaml $env }}
{{- end }}

{{- /*
docker-registry.secretData: the keys of `<fullname>-secret`, values not yet encoded, all but the
generated one. Also what the pod's checksum is made from. Nothing with a Secret in its place.
*/}}
{{- define "docker-registry.secretData" -}}
{{- $data := dict }}
{{- if not (include "docker-registry.existingSecret" .) }}
{{- with .Values.secrets.htpasswd }}
{{- $_ := set $data "htpasswd" . }}
{{- end }}
{{- with (.Values.secrets.gcs | default dict).keyfile }}
{{- if and (eq $.Values.storage "gcs") (not $.Values.secrets.gcs.secretRef) }}
{{- $_ := set $data "gcsKeyfile" (kindIs "string" . | ternary . (toJson .)) }}
{{- end }}
{{- end }}
{{- /* Both as ever, though they may be empty: an old pod that starts again during an upgrade reads them. */}}
{{- $_ := set $data "proxyUsername" (include "docker-registry.scalar" .Values.proxy.username) }}
{{- $_ := set $data "proxyPassword" (include "docker-registry.scalar" .Values.proxy.password) }}
{{- range include "docker-registry.credentials" . | fromYamlArray }}
{{- if and .given (not .ref) }}
{{- $_ := set $data .key .given }}
{{- end }}
{{- end }}
{{- end }}
{{- toYaml $data }}
{{- end }}

{{- /*
docker-registry.generated (dict "root" "name" "key" "given"): what was given, else what the cluster
has, else random text. Where Helm cannot look (`helm template`, Argo CD), give it.
*/}}
{{- define "docker-registry.generated" -}}
{{- $found := lookup "v1" "Secret" (include "docker-registry.namespace" .root) .name }}
{{- $kept := dig "data" .key "" $found | b64dec }}
{{- coalesce .given $kept (randAlphaNum 32) }}
{{- end }}
