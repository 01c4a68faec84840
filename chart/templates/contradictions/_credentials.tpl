{{- /* docker-registry.contradictions.credentials (root context): a line `- sentence` each, about who may come in. */}}
{{- define "docker-registry.contradictions.credentials" -}}
{{- $htpasswd := or .Values.secrets.htpasswd .Values.secrets.htpasswdRef.name }}
{{- range $name := list "haSharedSecret" "htpasswd" }}
{{- $ref := get (get $.Values.secrets (printf "%sRef" $name)) "name" }}
{{- if and $ref (get $.Values.secrets $name) }}
- secrets.{{ $name }} is set, and secrets.{{ $name }}Ref.name is {{ $ref }}: it can only come from one of them. Remove one.
{{- end }}
{{- end }}
{{- include "docker-registry.contradictions.ownSecrets" . }}
{{- include "docker-registry.contradictions.readable" . }}
{{- with .Values.auth.token }}
{{- $keys := or .rootCertBundle .rootCertBundleRef.name .jwks }}
{{- if and .rootCertBundle .rootCertBundleRef.name }}
- auth.token.rootCertBundle is set, and auth.token.rootCertBundleRef.name is {{ .rootCertBundleRef.name }}: the certificates can only come from one of them. Remove one.
{{- end }}
{{- if or .realm .service .issuer $keys }}
{{- if $htpasswd }}
- auth.token and secrets.htpasswd are both set, and the registry knows its users in one way only. Remove one.
{{- end }}
{{- $missing := list }}
{{- range $name, $value := dict "issuer" .issuer "realm" .realm "service" .service }}
{{- if not $value }}
{{- $missing = append $missing (printf "auth.token.%s" $name) }}
{{- end }}
{{- end }}
{{- with $missing }}
- Tokens need auth.token.realm, service and issuer. Set {{ join " and " $missing }} too.
{{- end }}
{{- if not $keys }}
- Tokens are checked with a certificate or a key. Set one of auth.token.rootCertBundle, auth.token.rootCertBundleRef.name and auth.token.jwks.
{{- end }}
{{- end }}
{{- end }}
{{- with .Values.tls }}
{{- if not (has .mode (list "" "secret")) }}
{{- else if and .crt (not .key) (not $.Values.tlsSecretName) }}
- tls.crt is set and tls.key is not. Set both, or tlsSecretName.
{{- else if and .key (not .crt) (not $.Values.tlsSecretName) }}
- tls.key is set and tls.crt is not. Set both, or tlsSecretName.
{{- end }}
{{- end }}
{{- with .Values.haSharedSecret }}
{{- $other := $.Values.secrets.haSharedSecret }}
{{- if and $other (ne . $other) }}
- haSharedSecret and secrets.haSharedSecret differ, and mean the same. Remove haSharedSecret.
{{- end }}
{{- end }}
{{- with .Values.redis }}
{{- range $key := list "caSecret" "certSecret" }}
{{- $secret := get $.Values.redis.tls $key }}
{{- if and $secret (not $.Values.redis.tls.enabled) }}
- redis.tls.{{ $key }} is {{ $secret }}, but redis.tls.enabled is false. Set it to true, or remove redis.tls.{{ $key }}.
{{- end }}
{{- end }}
{{- if and .sentinel.masterName (not .addrs) (not (include "docker-registry.configured" (list $ "redis" "addrs"))) }}
- redis.sentinel.masterName is {{ .sentinel.masterName }}, but redis.addrs does not say where the sentinels are. Set redis.addrs.
{{- end }}
{{- if and .addrs (eq (include "docker-registry.imageMajor" $) "2") }}
- redis.addrs is for registry 3, and image.tag is {{ $.Values.image.tag }}. Set image.tag: {{ $.Chart.AppVersion }}, or write configData.redis and configData.storage.cache yourself.
{{- end }}
{{- end }}
{{- with .Values.tests }}
{{- if and .enabled (not .secretRef) }}
{{- if and .username (not .password) }}
- tests.username is set and tests.password is not. Set both, or tests.secretRef.
{{- else if and .password (not .username) }}
- tests.password is set and tests.username is not. Set both, or tests.secretRef.
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{- /*
docker-registry.contradictions.ownSecrets (root context): a Secret that this release makes itself, named as
somebody else's: it would no longer be written, and Helm would delete it under the pods that read it.
*/}}
{{- define "docker-registry.contradictions.ownSecrets" -}}
{{- $namespace := include "docker-registry.namespace" . }}
{{- $own := list }}
{{- range $suffix := list "secret" "tls" "gc" "config-secret" }}
{{- $own = append $own (printf "%s-%s" (include "docker-registry.fullname" $) $suffix) }}
{{- end }}
{{- range $path, $text := include "docker-registry.namesOfOthers" . | fromYaml }}
{{- $name := include "docker-registry.renderedText" (list $ $text) }}
{{- if has $name $own }}
{{- $notes := dig "metadata" "annotations" dict (lookup "v1" "Secret" $namespace $name) }}
{{- if eq (get $notes "meta.helm.sh/release-name") $.Release.Name }}
- {{ $path }} is {{ $name }}, which this release makes itself: Helm would delete it, and no pod could start. Copy it under another name, or remove {{ $path }}.
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{- /*
docker-registry.contradictions.readable (root context): options of drivers that are secrets, and that no
value of this chart takes into a Secret: they would be read in the pod. The charts before ignored them.
*/}}
{{- define "docker-registry.contradictions.readable" -}}
{{- $given := include "docker-registry.driverOptions.given" . | fromYaml }}
{{- range $path := list "s3.sessiontoken" "swift.secretkey" "swift.accesskey" }}
{{- $parts := splitList "." $path }}
{{- if and (eq $.Values.storage (first $parts)) (get $given (last $parts)) }}
- {{ $path }} is a secret and would be read in the pod. Put it into a Secret of yours, and set extraEnvVars: [{name: REGISTRY_STORAGE_{{ $path | upper | replace "." "_" }}, valueFrom: {secretKeyRef: {name: …, key: …}}}].
{{- end }}
{{- end }}
{{- range $key, $value := omit .Values.redis "secretKeys" "secretRef" "password" "username" "sentinel" "tls" "addrs" }}
{{- if and $value (regexMatch "(?i)password" $key) }}
- redis.{{ $key }} is a secret and would be read in the pod. Set redis.sentinel.password.
{{- end }}
{{- end }}
{{- if contains "@" (toJson .Values.redis.addrs) }}
- redis.addrs has a login in it, which the registry does not take and everybody would read in the pod. Write host:port, and redis.username and redis.password.
{{- end }}
{{- end }}
