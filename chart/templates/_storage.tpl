{{- /*
Where the images are: the storage driver's options, the volume, the claim. All helpers take the root
context unless they say otherwise.
*/}}

{{- /*
docker-registry.volumeKind: where the store is: claim, claimTemplate (a StatefulSet's, one a pod),
hostPath, emptyDir, or none.
*/}}
{{- define "docker-registry.volumeKind" -}}
{{- if ne .Values.storage "filesystem" }}none
{{- else if .Values.persistence.hostPath.path }}hostPath
{{- else if .Values.persistence.existingClaim }}claim
{{- else if and .Values.persistence.enabled .Values.useStatefulSet }}claimTemplate
{{- else if .Values.persistence.enabled }}claim
{{- else }}emptyDir
{{- end }}
{{- end }}

{{- /* docker-registry.accessModes: of the claim, as a list. */}}
{{- define "docker-registry.accessModes" -}}
{{- toYaml (.Values.persistence.accessModes | default (list .Values.persistence.accessMode)) }}
{{- end }}

{{- /* docker-registry.oneNode: true where one node alone can have the volume, or where it is of that node. */}}
{{- define "docker-registry.oneNode" -}}
{{- $kind := include "docker-registry.volumeKind" . }}
{{- $shared := has "ReadWriteMany" (include "docker-registry.accessModes" . | fromYamlArray) }}
{{- if or (eq $kind "hostPath") (and (has $kind (list "claim" "claimTemplate")) (not $shared)) }}true{{ end }}
{{- end }}

{{- /*
docker-registry.claimSpec: of the claim and of the StatefulSet's template. It cannot be changed once it
is there, so it has nothing that twuni's did not have, unless told.
*/}}
{{- define "docker-registry.claimSpec" -}}
{{- with .Values.persistence -}}
accessModes:
  {{- include "docker-registry.accessModes" $ | nindent 2 }}
resources:
  requests:
    storage: {{ include "docker-registry.text" .size | quote }}
{{- $class := .storageClass | default "" }}
{{- /* A parent chart's default is for new claims: that of one that is there cannot be changed. */}}
{{- if and (not $class) $.Values.global.storageClass }}
{{- $live := lookup "v1" "PersistentVolumeClaim" (include "docker-registry.namespace" $) (include "docker-registry.fullname" $) }}
{{- $class = dig "spec" "storageClassName" (empty $live | ternary $.Values.global.storageClass "") $live }}
{{- end }}
{{- if eq $class "-" }}
storageClassName: ""
{{- else if $class }}
storageClassName: {{ include "docker-registry.renderedText" (list $ $class) | quote }}
{{- end }}
{{- with .volumeName }}
volumeName: {{ include "docker-registry.renderedText" (list $ .) | quote }}
{{- end }}
{{- with .selector }}
selector:
  {{- include "docker-registry.rendered" (list $ .) | nindent 2 }}
{{- end }}
{{- end }}
{{- end }}

{{- /*
docker-registry.claim.left (root context): the spec of the claim that this release has made and that
Helm would delete, images and all, if it were no longer written: those of the charts before lack the
annotation that keeps them. Once it has that, it need not be written any more.
*/}}
{{- define "docker-registry.claim.left" -}}
{{- $spec := dict }}
{{- $found := dict }}
{{- if and .Release.IsUpgrade .Values.persistence.keep }}
{{- $found = lookup "v1" "PersistentVolumeClaim" (include "docker-registry.namespace" .) (include "docker-registry.fullname" .) }}
{{- end }}
{{- if $found }}
{{- $notes := dig "metadata" "annotations" dict $found }}
{{- $ours := and (eq (get $notes "meta.helm.sh/release-name") .Release.Name) (eq (get $notes "meta.helm.sh/release-namespace") .Release.Namespace) }}
{{- if and $ours (ne (get $notes "helm.sh/resource-policy") "keep") }}
{{- $spec = $found.spec }}
{{- end }}
{{- end }}
{{- toYaml $spec }}
{{- end }}

{{- /* docker-registry.driverOptions.given: the driver's section of the values, names in small letters. */}}
{{- define "docker-registry.driverOptions.given" -}}
{{- $given := has .Values.storage (list "s3" "azure" "gcs" "swift") | ternary (get .Values .Values.storage) dict }}
{{- $options := dict }}
{{- if kindIs "map" $given }}
{{- range $key, $value := $given }}
{{- $_ := set $options (lower $key) $value }}
{{- end }}
{{- end }}
{{- if and (eq .Values.storage "azure") (not (kindIs "map" $options.credentials)) }}
{{- $_ := set $options "credentials" dict }}
{{- end }}
{{- toYaml $options }}
{{- end }}

{{- /*
docker-registry.driverOptions: the same without what is empty and without credentials, which go
another way (docker-registry.credentials). `false` is an answer: a MinIO without TLS needs
`secure: false`.
*/}}
{{- define "docker-registry.driverOptions" -}}
{{- $options := include "docker-registry.driverOptions.given" . | fromYaml }}
{{- $secret := dict "s3" (list "accesskey" "secretkey") "azure" (list "accountname" "accountkey" "container" "connectionstring") "gcs" (list "credentials") "swift" (list "username" "password") }}
{{- range index $secret .Values.storage }}
{{- $options = omit $options . }}
{{- end }}
{{- if eq .Values.storage "azure" }}
{{- $_ := set $options "credentials" (omit $options.credentials "secret") }}
{{- end }}
{{- include "docker-registry.pruned" $options }}
{{- end }}

{{- /* docker-registry.storageEnv: the store's variables without credentials. */}}
{{- define "docker-registry.storageEnv" -}}
{{- $driver := upper .Values.storage }}
{{- $env := list }}
{{- if eq $driver "FILESYSTEM" }}
{{- $env = append $env (dict "name" "REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY" "value" "/var/lib/registry") }}
{{- end }}
{{- range $key, $value := include "docker-registry.driverOptions" . | fromYaml }}
{{- $name := printf "REGISTRY_STORAGE_%s_%s" $driver (upper $key) }}
{{- if contains "_" $key }}
{{- /* In config.yml: docker-registry.config. */}}
{{- else if and (kindIs "map" $value) (eq $driver "AZURE") }}
{{- range $part, $text := $value }}
{{- if include "docker-registry.text" $text }}
{{- $env = append $env (dict "name" (printf "%s_%s" $name (upper $part)) "value" (include "docker-registry.scalar" $text)) }}
{{- end }}
{{- end }}
{{- else if or (kindIs "map" $value) (kindIs "slice" $value) }}
{{- $env = append $env (dict "name" $name "value" (toJson $value)) }}
{{- else }}
{{- $env = append $env (dict "name" $name "value" (include "docker-registry.scalar" $value)) }}
{{- end }}
{{- end }}
{{- if eq $driver "AZURE" }}
{{- with include "docker-registry.azureIdentity" . }}
{{- $env = append $env (dict "name" "REGISTRY_STORAGE_AZURE_CREDENTIALS_TYPE" "value" .) }}
{{- end }}
{{- end }}
{{- if eq (include "docker-registry.gcsKeyfile" .) "true" }}
{{- $env = append $env (dict "name" "REGISTRY_STORAGE_GCS_KEYFILE" "value" "/etc/docker-registry/gcs/keyfile.json") }}
{{- end }}
{{- toYaml $env }}
{{- end }}

{{- /*
docker-registry.azureIdentity: how the registry logs in to Azure where neither the values nor the
configuration say it: by the account's key if it has one, else as the pod is known to the cloud.
Registry 3 does not start without being told; 2.8 knows nothing but the key, and does not look.
*/}}
{{- define "docker-registry.azureIdentity" -}}
{{- $azure := .Values.secrets.azure | default dict }}
{{- $options := include "docker-registry.driverOptions.given" . | fromYaml }}
{{- $told := include "docker-registry.configured" (list . "storage" "azure" "credentials") }}
{{- $key := or $azure.accountKey $options.accountkey $azure.secretRef (include "docker-registry.existingSecret" .) }}
{{- range $name, $value := include "docker-registry.extraValues" . | fromYaml }}
{{- if hasPrefix "REGISTRY_STORAGE_AZURE_CREDENTIALS" $name }}
{{- $told = "true" }}
{{- else if eq $name "REGISTRY_STORAGE_AZURE_ACCOUNTKEY" }}
{{- $key = "true" }}
{{- end }}
{{- end }}
{{- if or $told $options.credentials.type }}
{{- else if $key }}shared_key
{{- else if not .Values.envFrom }}default_credentials
{{- end }}
{{- end }}

{{- /* docker-registry.gcsKeyfile: true where there is a key of Google's; without one the pod's own identity is used. */}}
{{- define "docker-registry.gcsKeyfile" -}}
{{- $gcs := .Values.secrets.gcs | default dict }}
{{- if and (eq .Values.storage "gcs") (or $gcs.secretRef $gcs.keyfile) }}true{{ end }}
{{- end }}

{{- define "docker-registry.storageMounts" -}}
{{- if ne (include "docker-registry.volumeKind" .) "none" }}
- name: data
  mountPath: /var/lib/registry/
{{- end }}
{{- end }}

{{- define "docker-registry.storageVolumes" -}}
{{- $kind := include "docker-registry.volumeKind" . }}
{{- if eq $kind "claim" }}
- name: data
  persistentVolumeClaim:
    claimName: {{ include "docker-registry.claim.name" . | quote }}
{{- else if eq $kind "hostPath" }}
- name: data
  hostPath:
    path: {{ .Values.persistence.hostPath.path | quote }}
    type: {{ .Values.persistence.hostPath.type | quote }}
{{- else if eq $kind "emptyDir" }}
- name: data
  {{- $size := include "docker-registry.text" .Values.emptydir.size }}
  {{- if has $size (list "" "0") }}
  emptyDir: {}
  {{- else }}
  emptyDir:
    sizeLimit: {{ $size | quote }}
  {{- end }}
{{- end }}
{{- end }}

{{- define "docker-registry.gcsMounts" -}}
{{- if include "docker-registry.gcsKeyfile" . }}
- name: gcs-keyfile
  mountPath: /etc/docker-registry/gcs
  readOnly: true
{{- end }}
{{- end }}

{{- define "docker-registry.gcsVolumes" -}}
{{- if include "docker-registry.gcsKeyfile" . }}
{{- $gcs := .Values.secrets.gcs }}
{{- $name := include "docker-registry.renderedText" (list . $gcs.secretRef) }}
{{- $own := include "docker-registry.existingSecret" . | default (include "docker-registry.secret.name" .) }}
- name: gcs-keyfile
  secret:
    secretName: {{ $name | default $own | quote }}
    items:
      - key: {{ ternary (get ($gcs.secretKeys | default dict) "keyfile" | default "gcsKeyfile") "gcsKeyfile" (not (empty $name)) | quote }}
        path: keyfile.json
{{- end }}
{{- end }}

{{- /* docker-registry.storeNow (root context): where the images of this release are, in words. */}}
{{- define "docker-registry.storeNow" -}}
{{- $kind := include "docker-registry.volumeKind" . }}
{{- if eq $kind "claim" }}the claim {{ include "docker-registry.claim.name" . }}
{{- else if eq $kind "claimTemplate" }}the claims data-{{ include "docker-registry.fullname" . }}-0 and so on
{{- else if eq $kind "hostPath" }}the node's folder {{ .Values.persistence.hostPath.path }}
{{- else if eq $kind "emptyDir" }}the pod alone
{{- else }}an object store
{{- end }}
{{- end }}

{{- /* docker-registry.storeBefore (root context): the same of the workload that the cluster has, nothing without one. */}}
{{- define "docker-registry.storeBefore" -}}
{{- $namespace := include "docker-registry.namespace" . }}
{{- $name := include "docker-registry.fullname" . }}
{{- $found := dict }}
{{- if .Release.IsUpgrade }}
{{- /* Its own kind first: most who upgrade need no right to see the other. */}}
{{- $kind := include "docker-registry.workload.kind" . }}
{{- range list $kind (ternary "StatefulSet" "Deployment" (eq $kind "Deployment")) }}
{{- if not $found }}
{{- $found = lookup "apps/v1" . $namespace $name }}
{{- end }}
{{- end }}
{{- end }}
{{- with $found }}
{{- $words := "an object store" }}
{{- range dig "spec" "volumeClaimTemplates" list . }}
{{- $words = printf "the claims data-%s-0 and so on" $name }}
{{- end }}
{{- range dig "spec" "template" "spec" "volumes" list . }}
{{- if eq .name "data" }}
{{- if .persistentVolumeClaim }}
{{- $words = printf "the claim %s" .persistentVolumeClaim.claimName }}
{{- else if .hostPath }}
{{- $words = printf "the node's folder %s" .hostPath.path }}
{{- else }}
{{- $words = "the pod alone" }}
{{- end }}
{{- end }}
{{- end }}
{{- $words }}
{{- end }}
{{- end }}
