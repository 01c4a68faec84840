{{- /*
docker-registry.contradictions.names (root context): a line `- sentence` each, about texts that the cluster
takes in one form only. It would refuse one object among those that it has already taken.
*/}}
{{- define "docker-registry.contradictions.names" -}}
{{- $label := "^[a-z0-9]([a-z0-9-]*[a-z0-9])?$" }}
{{- $told := "small letters, digits and `-`" }}
{{- $names := dict "fullnameOverride" .Values.fullnameOverride "namespace" .Values.namespace "service.nameOverride" .Values.service.nameOverride }}
{{- /* Beside fullnameOverride it is a label alone, which may have capitals. */}}
{{- if not .Values.fullnameOverride }}
{{- $_ := set $names "nameOverride" .Values.nameOverride }}
{{- end }}
{{- range $name, $text := $names }}
{{- if and $text (not (regexMatch $label (trunc 63 $text | trimSuffix "-"))) }}
- {{ $name }}: {{ quote $text }} is not a name: {{ $told }}.
{{- end }}
{{- end }}
{{- $inLabels := regexMatch "^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$" (include "docker-registry.name" .) }}
{{- if and .Values.fullnameOverride (not $inLabels) }}
- nameOverride: {{ quote .Values.nameOverride }} goes into labels, which have letters, digits, `-`, `_` and `.`.
{{- end }}
{{- $own := include "docker-registry.fullname" . }}
{{- include "docker-registry.contradictions.renamed" . }}
{{- $services := or .Values.service.create .Values.metrics.enabled (eq (include "docker-registry.gc.inPod" .) "true") }}
{{- if and $services (regexMatch "^[0-9]" $own) }}
- The release's objects would be called {{ $own }}, but a Service's name begins with a letter. Set fullnameOverride, such as registry-{{ $own }}.
{{- else if and .Values.service.create (regexMatch "^[0-9]" .Values.service.nameOverride) }}
- service.nameOverride is {{ .Values.service.nameOverride }}, but a Service's name begins with a letter. Set another one.
{{- end }}
{{- if gt (len .Values.service.nameOverride) 63 }}
- service.nameOverride has {{ len .Values.service.nameOverride }} characters, and a Service's name at most 63.
{{- end }}
{{- /* Helm would change the Service first, which then leads nowhere, and be refused at the workload. */}}
{{- $live := lookup "apps/v1" (include "docker-registry.workload.kind" .) (include "docker-registry.namespace" .) $own }}
{{- $selector := include "docker-registry.selector" . | fromYaml }}
{{- $was := dig "spec" "selector" "matchLabels" $selector $live }}
{{- if and .Release.IsUpgrade (ne (toJson $was) (toJson $selector)) }}
- {{ include "docker-registry.workload.kind" . }} {{ $own }} selects {{ toJson $was }} for ever, and would now have to select {{ toJson $selector }}. Set nameOverride as it was; or delete that {{ include "docker-registry.workload.kind" . }} first.
{{- end }}
{{- range $name, $text := include "docker-registry.namesOfOthers" . | fromYaml }}
{{- $filled := include "docker-registry.renderedText" (list $ $text) }}
{{- if and $filled (or (gt (len $filled) 253) (not (regexMatch "^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$" $filled))) }}
- {{ $name }}: {{ quote $filled }} is not a name: {{ $told }} and `.`.
{{- end }}
{{- end }}
{{- include "docker-registry.contradictions.labels" (list . .Values (.Files.Get "defaults.yaml" | fromYaml) "") }}
{{- end }}

{{- /* docker-registry.namesOfOthers (root context): names of objects that the chart does not make, by their values' paths. */}}
{{- define "docker-registry.namesOfOthers" -}}
{{- $values := .Values }}
{{- $names := dict "existingSecret" $values.existingSecret "persistence.existingClaim" $values.persistence.existingClaim
  "persistence.volumeName" $values.persistence.volumeName "priorityClassName" $values.priorityClassName
  "runtimeClassName" $values.runtimeClassName "schedulerName" $values.schedulerName
  "serviceAccount.name" $values.serviceAccount.name "tlsSecretName" $values.tlsSecretName
  "tls.clientCA.secretRef" $values.tls.clientCA.secretRef
  "tls.certManager.issuerRef.name" $values.tls.certManager.issuerRef.name
  "secrets.haSharedSecretRef.name" $values.secrets.haSharedSecretRef.name
  "secrets.htpasswdRef.name" $values.secrets.htpasswdRef.name
  "auth.token.rootCertBundleRef.name" $values.auth.token.rootCertBundleRef.name
  "garbageCollect.tokenRef.name" $values.garbageCollect.tokenRef.name
  "endpoint.caSecret" $values.endpoint.caSecret
  "proxy.secretRef" $values.proxy.secretRef "redis.secretRef" $values.redis.secretRef
  "redis.tls.caSecret" $values.redis.tls.caSecret "redis.tls.certSecret" $values.redis.tls.certSecret
  "tests.secretRef" $values.tests.secretRef }}
{{- range $driver := list "s3" "azure" "gcs" "swift" }}
{{- $_ := set $names (printf "secrets.%s.secretRef" $driver) (get (get $values.secrets $driver) "secretRef") }}
{{- end }}
{{- range $path, $class := dict "persistence.storageClass" $values.persistence.storageClass "global.storageClass" $values.global.storageClass }}
{{- if ne $class "-" }}
{{- $_ := set $names $path $class }}
{{- end }}
{{- end }}
{{- toYaml $names }}
{{- end }}

{{- /* docker-registry.contradictions.labels (list ROOT VALUES KNOWN PREFIX): of every map of labels in VALUES. */}}
{{- define "docker-registry.contradictions.labels" -}}
{{- $root := index . 0 }}
{{- $values := index . 1 }}
{{- $prefix := index . 3 }}
{{- range $key, $default := index . 2 }}
{{- $value := get $values $key }}
{{- $path := printf "%s%s" $prefix $key }}
{{- if not (kindIs "map" $value) }}
{{- else if regexMatch "(?i)(labels|nodeselector)$" $key }}
{{- range $name, $text := $value }}
{{- $filled := include "docker-registry.renderedText" (list $root $text) }}
{{- if or (gt (len $filled) 63) (not (regexMatch "^([A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?)?$" $filled)) }}
- {{ $path }}: {{ $name }} is {{ quote $filled }}. A label has at most 63 letters, digits, `-`, `_` and `.`; longer texts go into annotations.
{{- end }}
{{- if not (regexMatch "^([a-z0-9]([a-z0-9.-]*[a-z0-9])?/)?[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$" $name) }}
- {{ $path }}: {{ quote $name }} is no label's name, such as team or example.com/team.
{{- end }}
{{- end }}
{{- else if and (kindIs "map" $default) (not (has $key (list "configData" "configSecret"))) }}
{{- include "docker-registry.contradictions.labels" (list $root $value $default (printf "%s." $path)) }}
{{- end }}
{{- end }}
{{- end }}

{{- /*
docker-registry.contradictions.renamed (root context): a new name or namespace makes all objects anew, and
Helm deletes the old ones, the claim of the charts before with them.
*/}}
{{- define "docker-registry.contradictions.renamed" -}}
{{- $short := contains .Chart.Name .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name .Chart.Name) | trunc 63 | trimSuffix "-" }}
{{- $now := printf "%s/%s" (include "docker-registry.namespace" .) (include "docker-registry.fullname" .) }}
{{- if and .Release.IsUpgrade (ne $now (printf "%s/%s" .Release.Namespace $short)) }}
{{- $notes := dig "metadata" "annotations" dict (lookup "v1" "PersistentVolumeClaim" .Release.Namespace $short) }}
{{- if and (eq (get $notes "meta.helm.sh/release-name") .Release.Name) (eq (get $notes "meta.helm.sh/release-namespace") .Release.Namespace) (ne (get $notes "helm.sh/resource-policy") "keep") }}
- The objects of this release have been called {{ $short }}, and would now be {{ $now }}: Helm would delete the claim {{ $short }} with all images. Remove nameOverride, fullnameOverride and namespace; or first: kubectl annotate pvc {{ $short }} -n {{ .Release.Namespace }} helm.sh/resource-policy=keep
{{- end }}
{{- end }}
{{- end }}
