#Requires -Version 5.1
<#
.SYNOPSIS
Takes this machine out of management with an offboarding package of Shieldwall.

.DESCRIPTION
Tenant   @TENANT@
Package  @PACKAGE@, until @EXPIRES@, for @PLATFORMS@

Every setting goes back to its state from before management. The file holds no secret. It may run again.

.PARAMETER WithoutServer
Leave without a word to the server: it is gone.
#>
[CmdletBinding()]
param([switch] $WithoutServer)

$ErrorActionPreference = 'Stop'
$agent = Get-Command shieldwall-agent -ErrorAction SilentlyContinue
if (-not $agent) { Write-Error 'There is no shieldwall-agent here.'; exit 3 }

$content = @'
@CONTENT@
'@
$package = [System.IO.Path]::GetTempFileName()
try {
    [System.IO.File]::WriteAllBytes($package, [System.Convert]::FromBase64String($content))
    $arguments = @('offboard', '--package', $package)
    if ($WithoutServer) { $arguments += '--without-server' }
    & $agent.Source @arguments
    $status = $LASTEXITCODE
} finally {
    Remove-Item -LiteralPath $package -Force
}
if ($status -eq 4) { Write-Output 'This machine is not onboarded; nothing was changed.'; exit 0 }
exit $status
