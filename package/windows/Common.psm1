# What the scripts beside this share. Windows PowerShell 5.1, on every supported Windows.
Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'

$Script:Home_ = Join-Path $env:ProgramFiles 'Shieldwall'
$Script:Data = Join-Path $env:ProgramData 'Shieldwall'
$Script:Python = Join-Path $Home_ 'python\python.exe'
$Script:Services = Get-Content (Join-Path $PSScriptRoot 'services.json') -Raw | ConvertFrom-Json

function Assert-Administrator {
    $identity = [Security.Principal.WindowsIdentity]::GetCurrent()
    $principal = New-Object Security.Principal.WindowsPrincipal $identity
    if (-not $principal.IsInRole([Security.Principal.WindowsBuiltInRole]::Administrator)) {
        throw 'Run this as administrator.'
    }
}

function Invoke-Program([string] $Program, [string[]] $Arguments) {
    & $Program @Arguments
    if ($LASTEXITCODE -ne 0) { throw "$Program $($Arguments -join ' ') ended with $LASTEXITCODE." }
}

function Invoke-Agent([string[]] $Arguments) {
    Invoke-Program $Python (@('-I', '-m', 'shieldwall.cli.shieldwall_agent') + $Arguments)
}

# Only SYSTEM, administrators and, as far as is said, the agent's own account: 'Full', 'Read' or 'None'.
function Protect-Directory([string] $Path, [string] $AgentMay) {
    New-Item -ItemType Directory -Path $Path -Force | Out-Null
    $rights = @('*S-1-5-18:(OI)(CI)F', '*S-1-5-32-544:(OI)(CI)F')
    $agent = ($Services | Where-Object { $_.name -eq 'ShieldwallAgent' }).account
    if ($AgentMay -eq 'Full') { $rights += "${agent}:(OI)(CI)F" }
    if ($AgentMay -eq 'Read') { $rights += "${agent}:(OI)(CI)RX" }
    Invoke-Program icacls.exe (@($Path, '/inheritance:r', '/grant:r') + $rights + '/Q')
}

# A service without a network: Windows blocks what it might send or take, whatever other rules allow.
function Disable-ServiceNetwork([string] $Name) {
    foreach ($direction in 'Inbound', 'Outbound') {
        $rule = "$Name-$direction"
        if (Get-NetFirewallRule -Name $rule -ErrorAction SilentlyContinue) { continue }
        New-NetFirewallRule -Name $rule -DisplayName "Shieldwall: no network for $Name ($direction)" -Service $Name `
            -Direction $direction -Action Block -Profile Any | Out-Null
    }
}

function Install-ShieldwallService($Service) {
    $name = $Service.name
    $command = '"{0}" -I -m shieldwall.agent.windows.service_edge {1}' -f $Python, $Service.argument
    if (-not (Get-Service -Name $name -ErrorAction SilentlyContinue)) {
        New-Service -Name $name -BinaryPathName $command -DisplayName $Service.displayName -StartupType Automatic `
            -DependsOn $Service.depends | Out-Null
    }
    # By the registry, because sc.exe gets no quotation marks from Windows PowerShell.
    Set-ItemProperty -Path "HKLM:\SYSTEM\CurrentControlSet\Services\$name" -Name ImagePath -Value $command
    if ($Service.account -ne 'LocalSystem') { Invoke-Program sc.exe @('config', $name, 'obj=', $Service.account) }
    if (-not $Service.network) { Disable-ServiceNetwork $name }
    Invoke-Program sc.exe @('description', $name, $Service.description)
    Invoke-Program sc.exe @('sidtype', $name, $Service.sidType)
    Invoke-Program sc.exe @('privs', $name, ($Service.privileges -join '/'))
    Invoke-Program sc.exe @('failure', $name, 'reset=', '86400', 'actions=', 'restart/5000/restart/60000/restart/300000')
    Invoke-Program sc.exe @('sdset', $name, $Service.security)
}

Export-ModuleMember -Function * -Variable Home_, Data, Python, Services
