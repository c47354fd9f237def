from __future__ import annotations

import importlib.util
import json
import re
import sys
import time
from itertools import pairwise
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gemx.gateway.identifiers import Found, cns_is_valid, cpf_is_valid, find

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "identifiers.py"
NAME = [("name", "Maria Aparecida da Silva Souza")]
ORDINARY = [("name", "Rosa Lima Dias dos Santos")]


def said(text: str, private: list[tuple[str, str]] | None = None) -> list[tuple[str, str]]:
    return [(each.kind, text[each.start : each.end]) for each in find(text, private or [])]


# --- the generated corpora ---


@pytest.fixture(scope="module")
def benchmark() -> ModuleType:
    spec = importlib.util.spec_from_file_location("identifiers_benchmark", SCRIPT)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_the_generated_identifiers_are_found_and_little_else(benchmark: ModuleType) -> None:
    figures = benchmark.measure()
    assert set(figures.written) == set(benchmark.KINDS)
    assert min(figures.written.values()) >= 250
    assert figures.recall() >= 0.995, figures.missed
    for kind in benchmark.KINDS:
        assert figures.recall(kind) >= 0.995, (kind, figures.missed)
    assert figures.texts == 1000
    assert figures.alarms <= 10, figures.missed


def test_the_corpora_know_nothing_of_gemx_and_come_again_with_their_seed(benchmark: ModuleType) -> None:
    head = SCRIPT.read_text(encoding="utf-8").partition("# --- numbers ---")[0]
    assert "gemx" not in head
    assert benchmark.corpora(3, 20) == benchmark.corpora(3, 20)
    assert benchmark.corpora(3, 20) != benchmark.corpora(4, 20)


def test_the_table_names_every_kind(benchmark: ModuleType) -> None:
    printed = benchmark.table(benchmark.measure(5, 60), 1.0)
    assert all(f"| {kind} |" in printed for kind in (*benchmark.KINDS, "all"))
    assert "False alarms: " in printed


# --- spellings thought of at a ward desk; what is to be found stands between ‹ and › ---

WRITTEN = (
    ("cpf", "Acompanhante trouxe só o CPF ‹111.444.777-35› da paciente"),
    ("cpf", "CPF nº ‹52998224725›, solteira, do lar"),
    ("cpf", "RG/CPF: 12.345.678-9 / ‹529.982.247-25›"),
    ("cpf", "Doc: ‹529.982.247-25› (CPF)"),
    ("cpf", "cpf paciente.......: ‹529 982 247 25›"),
    ("cpf", "CPF [‹529.982.247-25›]"),
    ("cpf", "IDENTIFICAÇÃO USUÁRIO SUS CPF‹52998224725›"),
    ("cpf", "C P F: ‹529.982.247-25›"),
    ("cpf", "{\"paciente\":{\"cpf\":\"‹52998224725›\",\"idade\":66}}"),
    ("cpf", "cpf;nome;idade\n‹52998224725›;JOSE;66"),
    ("cpf", "CPF: ‹529.982.247-2› (último dígito ilegível)"),
    ("cpf", "ficha digitalizada — C.P.F. ‹529 . 982 . 247 - 25›"),
    ("cns", "Cartão do SUS da paciente ‹898001160660761›"),
    ("cns", "CNS ‹898.0011.6066.0761› // SISREG 412345678"),
    ("cns", "SUS nº: ‹898 0011 6066 0761›."),
    ("cns", "cartão nacional saúde ‹898 0011 6066 0761›"),
    ("cns", "nº do cartao: ‹898 0011 6066 0761›"),
    ("phone", "Tel: ‹3222-1010› ou ‹99876-5432›"),
    ("phone", "qq coisa ligar (‹11) 9 9876 5432›"),
    ("phone", "Contato: esposa Joana ‹(71)99876-5432›"),
    ("phone", "fone: ‹(85) 3222.1010› ramal 12"),
    ("phone", "filho (Pedro) – ‹98 98876-5432›"),
    ("phone", "whats da cuidadora: ‹+55 (21) 9.9876-5432›"),
    ("phone", "TEL P/ CONTATO ‹3222 1010›"),
    ("phone", "celular‹11998765432›"),
    ("phone", "telefone(s): ‹(47) 3222-1010›; ‹(47) 99876-5432›"),
    ("phone", "deixar recado na vizinha dona Zefa, ‹3222-1010›"),
    ("phone", "Ligou a filha do nº ‹(011) 99876-5432›"),
    ("phone", "tel. ‹21 2222 3333› (casa)"),
    ("phone", "Tel.:\t‹(0**11) 3222-1010›"),
    ("phone", "tel: ‹9 9876-5432›"),
    ("phone", "falei c/ familiar pelo ‹(31) 9 8765-4321› às 14:30"),
    ("cep", "R. José Bonifácio, 55 ap 12 - Vila Nova - CEP‹01310-100›"),
    ("cep", "Endereço: Rua A, 10, Feira de Santana - BA, ‹44001-535›"),
    ("cep", "cep= ‹01310100›"),
    ("cep", "Cep.: ‹01.310-100› Município: São Paulo"),
    ("email", "resultado p/ ‹maria_jose58@hotmail.com› até sexta"),
    ("email", "E-MAIL:‹MARIA.JOSE@PREFEITURA.RIO.GOV.BR›"),
    ("email", "<a href=\"mailto:‹zeca@bol.com.br›\">"),
    ("email", "email dela: ‹mj58@gmail›"),
    ("birth_date", "DN:‹12/03/1958›"),
    ("birth_date", "66a, nasc ‹12-3-58›, branca"),
    ("birth_date", "D.N ‹12.03.58›"),
    ("birth_date", "nascida aos ‹12 de março de 1958› em Juazeiro"),
    ("birth_date", "Data Nasc ........ ‹12/03/1958›"),
    ("birth_date", "Data de nascimento / idade: ‹12/03/1958› / 66a 2m"),
    ("birth_date", "Paciente do sexo feminino, nascida em Caruaru no dia ‹12/03/1958›"),
    ("birth_date", "‹12/03/1958› - 66a 3m 2d"),
    ("birth_date", "Maria, 66 anos (‹12/03/1958›), hipertensa"),
    ("birth_date", "Idade: 66 anos DN ‹12/3/58›"),
    ("birth_date", "dt_nascimento=‹1958-03-12›"),
    ("birth_date", "Nascimento....: ‹12/MAR/1958›"),
    ("birth_date", "nasc.‹12031958›"),
    ("birth_date", "Dta. nasc: ‹12 / 3 / 1958›"),
    ("birth_date", "Nome | Nascimento | Leito\nMaria | ‹12/03/1958› | 7"),
    ("birth_date", "aniversário ‹12/03/1958›"),
    ("birth_date", "Nascido(a): ‹12-03-1958› Naturalidade: Crato"),
    ("record", "Prontuário ‹123456› leito 7"),
    ("record", "pront nº ‹12.345-6›"),
    ("record", "PRONT.‹0098765›"),
    ("record", "Nº PRONTUÁRIO ‹2024.00123-4›"),
    ("record", "RGHC ‹55512345A›"),
    ("record", "Registro HC ‹1234567›"),
    ("record", "reg ‹98.765›, enf. 4B"),
    ("record", "Atendimento ‹20240312-0045›"),
    ("record", "Cód. do paciente ‹778899›"),
    ("record", "prontuario;idade\n‹123456›;66"),
    ("record", "mat: ‹45678-9›"),
    ("record", "Prontuário (HU): ‹445566›"),
    ("record", "SAME ‹12-34-56›"),
    ("record", "MRN= ‹00123456›"),
    ("record", "Nº Int.: ‹887766›"),
    ("record", "nº de registro ‹334455›"),
    ("record", "prontuário físico ‹112233›"),
    ("rg", "RG ‹12.345.678-X› SSP/SP"),
    ("rg", "Identidade nº ‹1234567› SDS-PE"),
    ("rg", "RG MG-‹12.345.678›"),
    ("name", "Nome: ‹Maria da Silva›"),
    ("name", "NOME DA MÃE: ‹JOSEFA MARIA DOS SANTOS› NOME DO PAI: ignorado"),
    ("name", "Nome social: ‹Luana Souza›"),
    ("name", "nome completo - ‹João Batista de Souza Filho›, 66 anos"),
    ("name", "Paciente: ‹Antônia Ferreira Lima›"),
    ("cpf", "Titular do plano inscrito no CPF/MF sob o número ‹529.982.247-25›, residente"),
    ("cpf", "conferido documento com foto, cpf confere: ‹52998224725›"),
    ("cpf", "Declaro para os devidos fins que MARIA, C.P.F. N.º ‹529.982.247-25›,"),
    ("cpf", "CPF ‹529.982.247-25›/RG 1234567"),
    ("cpf", "Resp. financeiro: filho, CPF:‹529982247-25›"),
    ("cpf", "usuario: ‹52998224725› senha: exame123"),
    ("cpf", "laudo_‹52998224725›.pdf"),
    ("cpf", "CPF\t‹529.982.247/25›"),
    ("cpf", "CPF do cuidador principal (neto): ‹111 444 777 35›"),
    ("cpf", "**CPF**: `‹529.982.247-25›`"),
    ("cpf", "CPF : ‹529.982.247 - 25› Estado civil: viúva"),
    ("cns", "CNS:‹898 0011 6066 0761› Raça/cor: parda"),
    ("cns", "CARTAO NAC SAUDE..: ‹898001160660761›"),
    ("cns", "e-SUS: usuário ‹898001160660761› microárea 03"),
    ("cns", "CNS (Cartão SUS) nº ‹898 0011 6066 0761›"),
    ("cns", "Cartão SUS‹898.0011.6066.0761›"),
    ("phone", "Telefone para recados: ‹3222-1010› (padaria)"),
    ("phone", "Tel fixo ‹3222-1010›, cel ‹99876-5432›"),
    ("phone", "contato tel ‹(92) 99876-5432› - irmã"),
    ("phone", "cel.: ‹(11)99876.5432›"),
    ("phone", "Celular 1: ‹(11) 99876-5432› Celular 2: ‹(11) 98765-4321›"),
    ("phone", "avisar família ‹81 9 9876-5432› (Neide)"),
    ("phone", "Zap do filho - ‹11 99876 5432›"),
    ("phone", "fone do posto de saúde: ‹3222-1010›"),
    ("phone", "telefonar para ‹(11) 3222-1010› antes da alta"),
    ("phone", "TELEFONE CELULAR: ‹(11) 9-9876-5432›"),
    ("phone", "Tel. ‹0xx11 3222-1010›"),
    ("phone", "emergência: ‹(11) 99876-5432›/‹(11) 3222-1010›"),
    ("phone", "número da esposa ‹(31)98765-4321›"),
    ("phone", "Tels.: ‹3222-1010›/‹3222-1011›"),
    ("phone", "telefone ‹+5511998765432›"),
    ("phone", "Tel da UBS ‹(16) 3333-4444›."),
    ("cep", "Av. Paulista, 1578 - Bela Vista - São Paulo/SP - ‹01310-200›"),
    ("cep", "CEP do domicílio ‹44.001-535›"),
    ("cep", "mora na rua 7, casa 3, cep ‹44001535›"),
    ("email", "E-mail p/ laudos => ‹ze.silva+exames@gmail.com›;"),
    ("email", "contato: ‹zefinha58@yahoo.com.br› (neta)"),
    ("email", "e-mail: ‹jose_58 @hotmail.com›"),
    ("birth_date", "D/N: ‹12/03/1958›"),
    ("birth_date", "DATA NASCIMENTO ‹12/03/1958› SEXO F"),
    ("birth_date", "DN- ‹12/03/1958›"),
    ("birth_date", "Dn=‹12/03/58›"),
    ("birth_date", "data de nascimento informada pela filha: ‹12/03/1958›"),
    ("birth_date", "Nascida a ‹12/03/1958› em Sobral/CE"),
    ("birth_date", "nascimento: ‹12-mar-1958›"),
    ("birth_date", "NASC: ‹1958/03/12›"),
    ("birth_date", "Nasceu no dia ‹12 de março de 1958›, em casa"),
    ("birth_date", "RN de Maria, nascido em ‹12/03/2024› às 14:35, PN 3250 g"),
    ("birth_date", "idade 66 anos, d.n. ‹12/03/1958›"),
    ("birth_date", "Idade: 66 anos (‹12/03/1958›)"),
    ("birth_date", "‹12/03/1958› (66 a)"),
    ("birth_date", "Fem, ‹12/03/1958›, 66a, parda"),
    ("birth_date", "66 ANOS - ‹12/03/1958› - FEMININO"),
    ("birth_date", "Data de Nasc: ‹12.03.1958›"),
    ("birth_date", "Dt.Nasc.‹12/03/1958›"),
    ("birth_date", "Nasc.(‹12/03/1958›)"),
    ("birth_date", "data_nasc: ‹1958-03-12›T00:00:00"),
    ("record", "Prontuário do HC: ‹1234567-8›"),
    ("record", "Pront.: ‹123.456› Leito: 12"),
    ("record", "PRONTUÁRIO MÉDICO Nº ‹00.123.456-7›"),
    ("record", "pront ‹123456› 66 anos"),
    ("record", "Registro: ‹RA0012345›"),
    ("record", "nº atend ‹4455667›"),
    ("record", "ATENDIMENTO:‹4455667›"),
    ("record", "Nr. prontuario ‹998877›"),
    ("record", "Prontuário n.º ‹998877/24›"),
    ("record", "Num. Prontuário: ‹998877›"),
    ("record", "Matrícula do paciente: ‹7788›"),
    ("record", "ID: prontuário ‹SP-123456›"),
    ("record", "Nº de Registro Hospitalar (NRH): ‹445566›"),
    ("record", "Prontuário de nº ‹445566›"),
    ("record", "internada sob o registro ‹445566›"),
    ("record", "AIH ‹3524101234567›"),
    ("rg", "R.G. ‹1.234.567› SSP/BA"),
    ("rg", "RG nº: ‹12345678-9›"),
    ("rg", "carteira de identidade nº ‹12.345.678-9›"),
    ("name", "nome do paciente: ‹José Carlos dos Santos›, leito 4"),
    ("name", "NOME.: ‹ANA PAULA DE LIMA›"),
    ("name", "Nome da genitora: ‹Josefa Maria da Conceição›"),
    ("name", "Pcte ‹Francisca das Chagas Souza›, 66 anos"),
)  # fmt: skip

NOTHING = (
    "Dieta 2000-3000 kcal/dia, água 1500-2000 mL",
    "coorte 2019-2023, acompanhamento 1998-2005",
    "PA 120-80 mmHg, FC 98-104",
    "HGT 08h 180 | 12h 210 | 18h 195 | 22h 98",
    "Na 138 K 4,2 Ur 98 Cr 1,34 Mg 1,8 Ca 8,9 P 3,2",
    "leuco 12.500 (seg 82, bast 8, linf 6, mono 4) plaq 345.000",
    "Plaquetas: 98.000-120.000 nas últimas 48h",
    "VR: 150.000 - 450.000 /mm3",
    "BH 24h: +1250 -2300 = -1050 mL",
    "BH parcial 1200 / 2300 / 3400 / 4500",
    "Noradrenalina 8 mg + SG5% 250 mL, 11 mL/h",
    "KCl 19,1% 10 mL + SF 0,9% 1000 mL 12/12h",
    "D1 12/03/2024 ceftriaxona; D5 16/03/2024",
    "Admissão: 12/03/2024 14:35, transferida do HGE",
    "TC crânio 12/03/2024 (Dr. Silva CRM 12345)",
    "CRM-BA 12.345 / RQE 6789",
    "CRM/SP 123456-P",
    "COREN 123.456-TE",
    "CRO-SP 98765; CRF 1-23456",
    "CID J18.9 / I50.0 / N18.5",
    "CID-10 F32.2 + CIAP P76",
    "SAPS 3: 65 pts, mortalidade 45-55%",
    "SOFA 12/03: 8; 13/03: 10; 14/03: 7",
    "66 anos, admitido em 12/03/2024 com dispneia",
    "66 anos. 12/03/2024: IOT",
    "mulher, 66 anos, IAM em 12/03/2019, CATE 15/03/2019",
    "12/03/2024 (D3 de ATB)",
    "12/03/2024 - 66 anos, evolução médica",
    "IRC há 12 anos, HD 3ª-5ª-sáb",
    "Lote 4512345678 val. 12/2026",
    "O2 11 L/min por MNR; SpO2 98%",
    "VC 420 PEEP 10 FiO2 60 FR 22 PPico 32 PPlat 26",
    "pH 7,21 pCO2 55 pO2 78 HCO3 18 BE -8 SatO2 94",
    "Troponina 1234 → 5678 → 2345 ng/L",
    "creatinina 1,2-1,5-2,3-3,4",
    "Lactato 4,2 - 3,1 - 2,0",
    "registro de sinais vitais 2/2h",
    "registro fotográfico da LPP 12x8 cm",
    "atendimento às 14:30; alta às 16h45",
    "atendimento de 12/03/2024 no PA",
    "internação anterior 03/2023 por ICC",
    "internação 5 dias atrás",
    "prontuário eletrônico fora do ar de 14:00 às 16:00",
    "conforme prontuário de 2019",
    "em contato com a regulação às 15h",
    "contato com escabiose em 2023",
    "isolamento de contato KPC+ desde 12/03/2024",
    "peso de nascimento 3250 g; nascimento a termo, parto 38 semanas",
    "nascimento do neto há 2 meses",
    "NPT 1800 kcal, 75 g ptn, 21 mL/h",
    "Resolução CFM 2.217/2018 e CNS 510/2016",
    "CNPJ 60.448.040/0001-22, CNES 2078015",
    "PMID: 34605781; DOI 10.1007/s00134-021-06506-y",
    "ISBN 978-85-277-3456-7",
    "GTIN 7891234567895",
    "Lei nº 13.787, de 27 de dezembro de 2018",
    "Port. 344/98, RDC 471/2021",
    "notificação de receita B1 12345678",
    "portaria GM/MS 1.631 de 01/10/2015",
    "SAMU 192, Bombeiros 193, Disque 136",
    "sala 4, box 3, leito 12, andar 5",
    "PAM 65-70, PIC 12-18, PPC 60-70",
    "insulina NPH 20-0-10, regular 4-4-4",
    "sinvastatina 40 mg 0-0-1",
    "ampola 1:1000, adrenalina 1:10.000",
    "clearance 45 mL/min/1,73m2 (CKD-EPI 2021)",
    "SF 500 mL 8/8h; diurese 1500 mL/12h; dreno 350 mL/6h",
    "pesou 72.300 g hoje, 73.150 g ontem",
    "evolução 12/03 08:00 12/03 14:00 12/03 20:00",
    "Ht 38 leuco 9500 plaq 2345 mil",
    "tel não informado, CPF não informado, DN não informada",
    "SRAG notificada em 12/03/2024, GAL 240312000123",
    "Nome do medicamento: Cloridrato de Amiodarona",
    "Nome comercial: Novalgina Gotas",
    "temperatura 36.5 37.2 38.1 37.8",
    "RG: refluxo gastroesofágico",
    "nega contato telefônico prévio; retorno em 12/03/2025 08:00",
    "Dose 2 mg/kg/h -> 140 mg/h; 11-15 mL/h",
    "Hb 7,2→8,1 pós 2 CH (bolsas 12345678 e 12345679)",
    "V1 V2 V3 V4-V6 supra de ST; QTc 480",
    "FC 110-120, PA 90-100/50-60, PVC 8-12",
    "hemograma 12/03: Hb 9,8 / 13/03: Hb 8,7 / 14/03: Hb 8,1",
    "SF 1000-2000 mL em 24h conforme diurese 3000-4000 mL",
    "glicemia 08:00 180 12:00 210 18:00 195 22:00 160",
    "GSA 7,32/45/78/22/-3/94%",
    "U 120 Cr 3,4 Na 130 K 6,1 → U 98 Cr 2,8 Na 134 K 5,2",
    "CD4 345 (18%), CV 12.345 cópias",
    "TSH 2,34 T4L 1,12 PTH 345,6 VitD 23",
    "PSA 4,56 (2019) 5,67 (2020) 8,90 (2021) 12,3 (2022)",
    "evolui D15 UTI, D12 VM, D8 TQT, D3 ATB",
    "troca de curativo 08-14-20h; banho 06h",
    "dieta por SNE 1500-1800 kcal, 65-75 g ptn, vazão 63 mL/h",
    "midazolam 50 mg/10 mL 5 amp + SF 100 mL 10-15 mL/h",
    "fentanil 50 mcg/mL 10-20 mL/h, propofol 10 mg/mL 5-15 mL/h",
    "vancomicina 1 g 12/12h (nível 18,5 em 12/03/2024 06:00)",
    "transferência em 12/03/2024, via CROSS 4512345",
    "CROSS ficha aguardando vaga desde 12/03/2024",
    "Central de regulação: senha 123456",
    "Dra. Ana Lima, CRM/BA nº 23.456, às 07:30",
    "médico reg. CRM 123456",
    "Reg. CRM-SP nº 123.456",
    "Conselho Regional: CREMESP 123456",
    "CREFITO 3/123456-F",
    "CRN-3 12345, CRP 06/123456",
    "ECG 12 derivações 25 mm/s 10 mm/mV FC 75 PR 160 QRS 98 QTc 445",
    "ECO: AE 42 VE 55/38 FE 58% PSAP 45",
    "CATE: DA 80% Cx 70% CD 100% proximal",
    "TC 12/03/24: hematoma 35x22x18 mm",
    "US 12/03/2024 RD 105x48 mm, RE 110x52 mm",
    "CKD-EPI 34; Cockcroft 45; KDIGO 3b A2",
    "NIHSS 12 → 8 → 4; mRS 2; ASPECTS 9",
    "MELD 24, Child B8, Lille 0,45",
    "Wells 4,5; PERC 2; YEARS 1; D-dímero 1234",
    "Caprini 8; Padua 5; IMPROVE 7",
    "Braden 12, Morse 55, Barthel 35/100",
    "quimio C3D8 12/03/2024; próxima 26/03/2024",
    "data da última menstruação 12/03/2024, IG 8+3",
    "DPP 12/12/2024, DUM 05/03/2024",
    "vacina influenza 12/03/2024 lote 220045",
    "vacinado: D1 12/03/21 D2 12/06/21 D3 12/12/21",
    "óbito em 12/03/2024 às 14:35, DO 12345678-9",
    "66 anos, aposentado; em 12/03/2024 apresentou síncope",
    "12/03/2024 14:00 66 anos PO imediato",
    "atendida em 12/03/2019 (5 anos antes) por AVC",
    "seguimento: 12/03/2019 a 12/03/2024 (5 anos)",
    "cirurgia bariátrica 12/03/2014 (10 anos atrás)",
    "prótese mitral desde 12/03/2004, 20 anos de anticoagulação",
    "bolsa de hemácias nº 12345678, CH 300 mL",
    "hemoderivados SUS; leito SUS 12; 100% SUS",
    "SUS 3 vezes na semana",
    "leitos 10-20, equipe 1234",
    "portaria SAES/MS nº 1.234, de 12/03/2024",
    "NR 32; NBR 14136; ISO 13485:2016",
    "processo SEI 25000.123456/2024-12",
    "versão 2.0.12 build 20240312",
    "modelo RX-1234-56, série 987654321",
    "ventilador Dixtal 3012 nº série 12345",
    "AMIB 2023; ILAS 2018; SSC 2021; AHA 2020",
    "Rev Bras Ter Intensiva. 2021;33(2):196-205",
    "JAMA. 2016;315(8):801-810",
    "n=12.345; IC95% 1.234-2.345; p<0,001",
    "R$ 12.345,67 - R$ 1.500,00",
    "registro: paciente mantém febre 38,5",
    "atendimento: 1º na UPA, 2º aqui",
    "conta de hemácias 4.500.000",
    "guia de internação preenchida 12/03/2024",
    "contato precoce pele a pele; contato visual 3-5 s",
    "célula 3000-4000 cel/mm3, cel. epiteliais 10-15/campo",
    "telemetria 24h; telerradiologia 12/03/2024",
    "nascidos vivos 12.345 em 2023",
    "taxa de natalidade 2010-2020 12,3-14,5",
    "dose cumulativa 450-550 mg/m2",
    "RASS -4/-5, BPS 3-4, BIS 40-60",
    "pressões 12-15-18 cmH2O em 30-60-90 min",
    "Nome genérico: Enoxaparina Sódica; nome do exame: Gasometria Arterial",
    "Paciente: sexo masculino, 66 anos",
    "PACIENTE GRAVE, INTUBADO, EM DROGAS",
    "Mãe: HAS e DM; Pai: IAM aos 55 anos",
    "Sr. plantonista: favor avaliar K 6,5",
    "RG 4500 mL/min (VM) fluxo 45-60 L/min",
)


def marked(text: str) -> tuple[str, list[tuple[int, int]]]:
    plain, spans = "", []
    for part in re.split(r"(‹.*?›)", text):
        if part.startswith("‹"):
            spans.append((len(plain), len(plain) + len(part) - 2))
        plain += part.strip("‹›")
    return plain, spans


@pytest.mark.parametrize(("kind", "text"), WRITTEN)
def test_a_spelling_of_the_ward_is_found(kind: str, text: str) -> None:
    plain, spans = marked(text)
    assert spans
    found = find(plain)
    for start, end in spans:
        assert any(each.kind == kind and each.start <= start and end <= each.end for each in found), said(plain)
    # Nor does a finding eat up what stands around it.
    assert all(each.end - each.start <= 45 for each in found)


@pytest.mark.parametrize("text", NOTHING)
def test_numbers_of_the_ward_are_no_identifiers(text: str) -> None:
    assert said(text) == []
    assert said(text.upper()) == []


@pytest.mark.parametrize(
    "text",
    [
        *("datetime.now(UTC)", "path.open()", "lido em upatodate.com", "look at example.com today"),
        "hypertension@home",
        *("the same | 1024 | 211", "same, 1.2–1.3 s", "https://ch.oddb.org/de/reg/20258/chapter/usage"),
        "10.59681/2175-4411.v17.2025.1227",
    ],
)  # fmt: skip
def test_code_addresses_and_english_are_no_identifiers(text: str) -> None:
    assert said(text) == []


def test_there_are_enough_of_them() -> None:
    assert len(WRITTEN) >= 60
    assert len(NOTHING) >= 60


# --- check digits ---


def test_check_digits_of_published_examples() -> None:
    # Business::BR::CPF's documentation; brado::cns's documentation and crystianwendel's gist.
    assert cpf_is_valid("39053344705")
    assert cpf_is_valid("26394653330")
    assert not cpf_is_valid("23100299900")
    assert cns_is_valid("144082627260004")
    assert cns_is_valid("187507943600018")
    assert not cns_is_valid("144082627260005")


def test_equal_digits_and_wrong_lengths_are_none() -> None:
    assert not any(cpf_is_valid(str(digit) * 11) for digit in range(10))
    assert not cpf_is_valid("5299822472")
    assert not cns_is_valid("34408262726000")
    assert not cns_is_valid("000000000000000")


def test_bare_digits_need_the_check_digits_and_labelled_or_pointed_ones_do_not() -> None:
    assert said("valor 52998224725") == [("cpf", "52998224725")]
    assert said("valor 52998224726") == []
    assert said("valor 11111111111") == []
    assert said("CPF 52998224726") == [("cpf", "52998224726")]
    assert said("valor 529.982.247-26") == [("cpf", "529.982.247-26")]
    assert said("898001160660762") == []
    assert said("CNS 898001160660762") == [("cns", "898001160660762")]


# --- offsets ---


def test_offsets_are_of_the_original_text() -> None:
    decomposed = "Joa\u0303o\u200b, CPF 529.982.247\u201125, fim"
    assert said(decomposed) == [("cpf", "529.982.247\u201125")]
    assert said("ﬁm ½ … CPF 529.982.247-25") == [("cpf", "529.982.247-25")]
    assert said("\ufeffCPF ５２９.９８２.２４７-２５") == [("cpf", "５２９.９８２.２４７-２５")]


def test_an_accent_belongs_to_the_letter_before_it() -> None:
    assert said("veio Jose\u0301, só", [("name", "José")]) == [("name", "Jose\u0301")]


def test_findings_are_in_order_and_never_overlap() -> None:
    text = "Prontuário: 529.982.247-25 tel (11) 99876-5432 maria.silva@x.com.br DN 12/03/1958 (66 anos)"
    found = find(text, NAME)
    assert found == sorted(found, key=lambda each: each.start)
    assert all(left.end <= right.start for left, right in pairwise(found))
    assert [each.kind for each in found][1:] == ["phone", "email", "birth_date"]


PIECES = st.sampled_from(
    ["CPF ", "529.982.247-25", "12/03/1958", " anos", "66", "tel", "(11)", " 3222-1010", "\n", "Maria", " da ",
     "Silva", "é", "e\u0301",
     "\u200b", "leito ", "7", "@", "x.com", "Nome: ", "|", ";", "prontuário ", "nº", "\ud800", "\0", "ﬁ", "İ", "ß",
     "M. "]
)  # fmt: skip


@given(st.lists(st.one_of(PIECES, st.text(max_size=4)), max_size=25).map("".join))
def test_any_text_has_proper_findings(text: str) -> None:
    found = find(text, [*NAME, ("bed", "7"), ("record", "12345")])
    at = 0
    for each in found:
        assert at <= each.start < each.end <= len(text)
        at = each.end


# --- what the request says of its patient ---


@pytest.mark.parametrize(
    "text",
    [
        "Maria Aparecida da Silva Souza", "MARIA APARECIDA DA SILVA SOUZA", "maria  aparecida\nda silva souza",
        "Maria A. S. Souza",
        "M. A. Silva", "M. Souza", "Maria S.", "Souza, Maria", "SOUZA, M. A.", "Maria de Souza",
        "Aparecida Silva", "Silva/Souza",
        "maria_souza", "MARIA-SILVA", "Maria", "Aparecida", "Souza", "María", "Mari\u0301a",
    ],
)  # fmt: skip
def test_a_name_is_found_in_its_forms(text: str) -> None:
    assert said(f"a paciente {text}, estável", NAME) == [("name", text)]


@pytest.mark.parametrize(
    "text", ["Mariana", "marias", "Hospital Santa Maria", "aparecidas", "silvar", "Sousa", "da", "MSS"]
)
def test_other_words_are_not_the_name(text: str) -> None:
    assert said(f"veio de {text}, estável", NAME) == []


@pytest.mark.parametrize(
    "text", ["há 7 dias", "lesão rosa há 3 dias", "3 dias, lima", "todos os santos dias", "rosa. Dias depois"]
)
def test_an_ordinary_word_alone_is_no_name(text: str) -> None:
    assert said(text, ORDINARY) == []


@pytest.mark.parametrize(
    "text", ["Rosa Lima", "ROSA DIAS", "rosa lima", "DIAS, ROSA", "Rosa L.", "R. Dias", "Rosa dos Santos"]
)
def test_ordinary_words_together_are_a_name(text: str) -> None:
    assert said(f"veio {text} hoje", ORDINARY) == [("name", text)]


@pytest.mark.parametrize("eponym", ["Wells", "Child-Pugh", "Glasgow", "Ranson", "Chagas", "Down"])
def test_an_eponym_is_no_name(eponym: str) -> None:
    assert said(f"escore de {eponym}", [("name", f"Ana {eponym.replace('-', ' ')} Medeiros")]) in (
        [],
        [("name", "Child-Pugh")],
    )


def test_a_name_of_one_ordinary_word_is_found_with_its_capital() -> None:
    assert said("Rosa tem lesão rosa", [("name", "Rosa")]) == [("name", "Rosa")]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("Paciente de exemplo", "Dados do paciente: por exemplo, a idade. Paciente estável; um exemplo"),
        ("Paciente de exemplo", "paciente ... exemplo"),
        ("Paciente de exemplo", "paciente, exemplo"),
        ("Paciente de exemplo", "vitamina E. Paciente estável"),
        ("Paciente de exemplo", "Paciente de exemplo"),
        ("Não identificado", "germe não identificado; Não informe"),
        ("Não informado", "Creatinina: não informada; lactato: não informado"),
        ("RN", "RN a termo"),
        ("Desconhecido", "Desconhecido o motivo"),
        ("TESTE", "TESTE RÁPIDO"),
        ("Sem nome", "paciente sem nome"),
        ("Mãe desconhecida", "mãe hipertensa, pai desconhecido"),
        ("Recém-nascido", "recém-nascido, Recem nascido"),
    ],
)
def test_what_is_written_where_a_name_is_missing_is_no_name(name: str, text: str) -> None:
    assert said(text, [("name", name)]) == []


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        ("RN de Maria Souza", "RN em berço; Maria amamenta", "Maria"),
        ("Paciente Teste Souza", "teste negativo; veio Souza", "Souza"),
        ("José Homem", "homem, 60 anos; veio José Homem", "José Homem"),
        ("João Souza Filho", "filho ausente; assina J. Filho", "J. Filho"),
    ],
)
def test_a_name_beside_such_words_is_found(name: str, text: str, found: str) -> None:
    assert said(text, [("name", name)]) == [("name", found)]


def test_an_apostrophe_comes_and_goes() -> None:
    assert said("veio OHara", [("name", "José O'Hara")]) == [("name", "OHara")]
    assert said("veio O’Hara", [("name", "José O'Hara")]) == [("name", "O’Hara")]


@pytest.mark.parametrize(
    ("bed", "text", "found"),
    [
        ("12", "leito 12, estável", "leito 12"), ("12", "L12", "L12"), ("12", "LEITO Nº 12", "LEITO Nº 12"),
        ("12", "cama: 12", "cama: 12"),
        ("3", "box 3", "box 3"), ("7", "leito 07", "leito 07"), ("Leito 5", "leito 5", "leito 5"),
        ("12A", "leito 12-a", "leito 12-a"),
        ("UTI-07", "na uti 7 hoje", "uti 7"), ("304-B", "foi ao 304B", "304B"),
        ("304B", "quarto 304 B", "quarto 304 B"),
    ],
)  # fmt: skip
def test_a_bed_is_found(bed: str, text: str, found: str) -> None:
    assert said(text, [("bed", bed)]) == [("bed", found)]


@pytest.mark.parametrize(
    ("bed", "text"),
    [
        ("7", "há 7 dias"),
        ("7", "leito 70"),
        ("4", "discopatia L4-L5"),
        ("12", "FR 12"),
        ("2", "L2"),
        ("", "leito"),
        ("UTI", "na UTI"),
    ],
)
def test_a_bare_number_is_no_bed(bed: str, text: str) -> None:
    assert said(text, [("bed", bed)]) == []


@pytest.mark.parametrize(
    ("record", "text", "found"),
    [
        ("1234567-8", "sob 12345678.", "12345678"), ("12345678", "sob 1.234.567-8.", "1.234.567-8"),
        ("HC-00123", "o hc 00123", "hc 00123"),
        ("12345", "o 0012345 dele", "0012345"), ("0012345", "o 12.345 dele", "12.345"),
        ("98765", "CASO98765? não; 98765", "98765"),
    ],
)  # fmt: skip
def test_a_record_is_found_whatever_separates_it(record: str, text: str, found: str) -> None:
    assert said(text, [("record", record)]) == [("record", found)]


@pytest.mark.parametrize(
    ("record", "text"),
    [("123", "valor 123"), ("1203", "em 12/03/2024"), ("12345", "valor 123456"), ("12345", "R$ 12.345,67"), ("", "0")],
)
def test_a_short_record_is_not_sought_in_other_numbers(record: str, text: str) -> None:
    assert said(text, [("record", record)]) == []


@pytest.mark.parametrize(
    "text",
    [
        "exame de 2019",
        "IAM em 2019, 2019.",
        "Diretriz 2019",
        "conforme prontuário de 2019",
        "internação em 2019",
        "registro 2019-03-12",
        "12/03/2019",
        "leito 20190",
    ],
)
@pytest.mark.parametrize("record", ["2019", "02019", "20-19"])
def test_a_record_that_may_be_a_year_is_none_without_its_label(record: str, text: str) -> None:
    assert said(text, [("record", record)]) == []


@pytest.mark.parametrize(
    "text", ["prontuário ‹2019›", "Registro nº ‹2019›", "pront.: ‹002019›", "leito ‹2019›", '{"prontuario": "‹2019›"}']
)
def test_a_record_that_may_be_a_year_is_found_behind_a_label(text: str) -> None:
    plain, spans = marked(text)
    assert find(f"em 2019, {plain}.", [("record", "2019")]) == [Found("record", *(at + 9 for at in spans[0]))]


@pytest.mark.parametrize("record", ["1899", "2100", "20190", "A2019"])
def test_any_other_record_needs_no_label(record: str) -> None:
    assert said(f"sob {record} desde ontem", [("record", record)]) == [("record", record)]


def test_an_unknown_kind_of_private_value_is_ignored() -> None:
    assert said("vermelho", [("colour", "vermelho")]) == []


# --- tables ---


def test_a_column_is_what_its_head_says() -> None:
    rows = ("Maria da Silva;52998224720;12/03/1958;32221010", "Jose Lima;11144477730;1/2/60;32221011")
    text = "\n".join(("nome;cpf;nascimento;telefone", *rows))
    kinds = [kind for kind, _ in said(text)]
    assert kinds == ["name", "cpf", "birth_date", "phone"] * 2


def test_a_table_of_measurements_has_no_identifiers() -> None:
    assert said("| Data | Hb | Leuco |\n|---|---|---|\n| 12/03/2024 | 9,8 | 12.500 |\n") == []
    assert said("Nome | Dose\nDipirona Sódica | 1 g\n") == []


# --- exports and messages; what is to be found stands between ‹ and ›, of the kind before it ---

HL7 = (
    "MSH|^~\\&|ADT|HOSP|LAB|HOSP|20240312143500||ADT^A01|77|P|2.5{end}"
    "PID|1||‹record:123456›^^^HOSP^MR||‹name:SILVA^MARIA^DA›||‹birth_date:19580312›|F|||R. X^^SAO PAULO^SP^"
    "‹cep:01310-100›||‹phone:(11)98765-4321›~‹phone:^PRN^PH^^55^11^32221010›{end}"
    "NK1|1|‹name:QUADROS^ZELIA›|MTH||‹phone:32221010›{end}GT1|1||‹name:QUADROS^JOSE›{end}PV1|1|I|UTI^07^1{end}"
    "OBX|1|NM|2823-3^Potassio||6.1|mmol/L|3.5-5.1"
)  # fmt: skip
EXPORTED = (
    # escapes
    r'{"nome": "‹name:Z\u00e9lia Quadros›"}',
    r'{"nm_paciente": "‹name:Z\u00c9LIA\u00a0QUADROS›", "x": 1}',
    r'{\"cpf\": \"‹cpf:52998224725›\", \"nm_mae\": \"‹name:Z\\u00e9lia Quadros›\"}',
    r'"texto": "estável.\nNome: ‹name:Maria Souza›\nTel.: ‹phone:3222-1010›\r\nDN: ‹birth_date:12\/03\/1958›"',
    r"CPF ‹cpf:529\.982\.247\-25›",
    "<nome>‹name:Z&eacute;lia Quadros›</nome><cpf>‹cpf:52998224725›</cpf>",
    "e-mail: ‹email:ana.lima&#64;gmail&#x2E;com›",
    "<nomePaciente>‹name:Z&#xE9;lia Sant&apos;Anna›</nomePaciente>",
    "&lt;nomePaciente&gt;‹name:Z&amp;eacute;lia Quadros›&lt;/nomePaciente&gt;",
    # keys, in the notations of JSON, YAML, programs and addresses
    *(
        form.format(key)
        for key in (
            "nome_paciente", "NOME_PACIENTE", "nm_paciente", "no_paciente", "ds_nome", "nomePaciente", "paciente_nome",
            "nome_mae", "nomeMae", "nm_mae", "patient_name", "patientName", "full_name", "NM_PACIENT", "NOMEMAE",
            "nm_pessoa_fisica", "PatientName", "nome_do_pai",
        )
        for form in (
            '{{"{}": "‹name:zelia quadros›", "sexo": "F"}}', "{}: ‹name:ZELIA QUADROS›\n", "{}='‹name:Zélia›'",
            "<ficha {}=\"‹name:Zélia Quadros›\"/>", "<ans:{0}>‹name:QUADROS, ZELIA›</ans:{0}>",
        )
    ),
    *(
        form.format(key, f"‹{kind}:{value}›")
        for kind, keys, value in (
            ("birth_date", "dt_nasc data_nascimento dataNascimento dt_nascimento birthDate DTNASC", "1958-03-12"),
            ("birth_date", "dt_nasc dataNascimento PatientBirthDate", "19580312"),
            ("record", "nr_prontuario cd_paciente num_atendimento nrAtendimento patientId id_paciente", "99812"),
            ("record", "nr_prontuario cdPaciente mrn", "HC-0012/3"),
            ("cpf", "nr_cpf cpfPaciente cpf_paciente", "52998224720"),
            ("cns", "cd_cns cartaoSus numeroCNS nr_cartao_nac_sus", "898001160660762"),
            ("phone", "telefone_contato nr_telefone celularPaciente phoneNumber", "32221010"),
            ("cep", "cep_paciente nrCep postalCode", "01310100"),
        )
        for key in keys.split()
        for form in ('{{"{0}":"{1}"}}', "{0}: {1}\n", "{0};x\n{1};1\n", "| x | {0} |\n|---|---|\n| 1 | {1} |\n",
                     "{0}\tx\n{1}\t1\n", '"x","{0}"\n"1","{1}"\n', "<{0}>{1}</{0}>")
    ),
    # tables
    "nm_paciente;dt_nasc\n‹name:zelia quadros›;‹birth_date:12/03/1958›\n‹name:ZELIA›;‹birth_date:1/2/60›\n",
    '"nm_paciente","nm_mae"\n"‹name:QUADROS, ZELIA›","‹name:JOSEFA DORES›"\n',
    "| nome_paciente | idade |\n|---|---|\n| ‹name:zelia quadros› | 66 |",
    "nome,idade,sexo\n‹name:zelia quadros›,66,F\n",
    "Nome do Paciente\tLeito\n‹name:Zélia Quadros›\t7\n",
    # a key that is not only a person's, beside what is
    '{"nome": "‹name:zelia quadros›", "sexo": "F"}',
    '{"paciente": {"nome": "‹name:zelia quadros›"}}',
    '<paciente idade="66" nome="‹name:zelia quadros›"/>',
    "<nome>‹name:Maria Souza›</nome>",
    # FHIR
    '"name": [{"use": "official", "family": "‹name:Silva›", "given": ["‹name:Maria›", "‹name:de Lourdes›"]}]',
    '{"resourceType": "Patient", "name": [{"text": "‹name:zelia quadros›"}], "birthDate": "‹birth_date:1958-03-12›"}',
    '<family value="‹name:Silva›"/><given value="‹name:Zélia›"/><birthDate value="‹birth_date:1958-03-12›"/>',
    '{"system": "http://rnds.saude.gov.br/fhir/r4/NamingSystem/cpf", "value": "‹cpf:52998224720›"}',
    '{"value": "‹cns:898001160660762›", "system": "http://rnds.saude.gov.br/fhir/r4/NamingSystem/cns"}',
    '"subject": {"reference": "Patient/1", "display": "‹name:Zélia Quadros›"}',
    # HL7 v2
    *(HL7.replace("{end}", end) for end in ("\r", "\n", "\r\n")),
    # DICOM
    "(0010,0010) PN [‹name:SILVA^MARIA›]  # 12, 1 PatientName\n(0010,0020) LO [‹record:123456›]\n"
    "(0010,0030) DA [‹birth_date:19580312›]",
    "(0010, 0010) Patient's Name                      PN: '‹name:SILVA^MARIA›'\n"
    "(0010, 0020) Patient ID                          LO: '‹record:A-12›'\n"
    "(0010, 0030) Patient's Birth Date                DA: '‹birth_date:19580312›'",
    '"00100010": {"vr": "PN", "Value": [{"Alphabetic": "‹name:SILVA^MARIA›"}]}, "00100020": {"vr": "LO", '
    '"Value": ["‹record:123456›"]}',
)  # fmt: skip

NO_EXPORT = (
    r'{"nm_exame": "Pot\u00e1ssio s\u00e9rico", "vl_resultado": 6.1, "dt_coleta": "2024-03-12"}',
    '{"nome": "dipirona sodica", "dose": "1 g"}',
    '{"name": "get_patient", "description": "Search for a patient"}',
    '{"states": [{"id": 1, "name": "Acre"}], "patient": {"id": 2}, "sexo": "F"}',
    '{"nome_paciente": null, "nomeMae": "NAO INFORMADO", "nm_pai": "Ignorado", "cpfPaciente": "", "nr_cns": 0}',
    '{"nome_paciente": {"type": "string"}, "full_name": {"type": ["string", "null"]}}',
    '{"nome_paciente": "[NOME_1]", "nm_mae": "{nome}", "patientName": "${name}"}',
    "nome_paciente: nome completo do paciente\nnm_mae: obrigatório\nfull_name: str\npatientName: String,\n",
    "nome_paciente = None; nomeMae = True; full_name = first + last; patient_name = models.CharField(80)",
    "const nomePaciente = dados.nome; setNomePaciente(null);",
    '<nome>hemograma</nome><nome>Cloridrato de Amiodarona</nome><nomePaciente/><nomePaciente xsi:nil="true"/>',
    "<nome_unidade>UTI Adulto</nome_unidade><nomeProfissional>x</nomeProfissional>",
    '{"nome_arquivo": "Laudo Final", "nm_setor": "UTI Adulto", "file_name": "Laudo Final", "font-family": "Open Sans"}',
    '{"family": "Penicilinas", "model": {"family": "Gemini Flash"}}',
    "cd_exame;nm_exame;vl_resultado\n12345678;CREATININA SERICA;1.2\n",
    "nm_setor,nm_leito,qt_pacientes\nUTI ADULTO,BOX,12\n",
    "SELECT p.nm_paciente, p.dt_nascimento, a.cd_atendimento FROM paciente p\nWHERE a.dt_alta IS NULL, x\n",
    "    full_name, email = row\n    return full name\n    other words here\n",
    "| Coluna | Tipo | Descrição |\n|---|---|---|\n| first_name | TEXT | Nome |\n"
    "| phone | TEXT | Telefone do paciente |\n",
    "nome do paciente, idade e leito\nverificar sinais vitais, anotar, comunicar\n",
    '{"cd_tipo_atendimento": "1234", "dt_atendimento": "2024-03-12", "nr_atendimento": "2024-03-12"}',
    '{"peso_nascimento": 3250, "uf_nascimento": "SP", "registroANS": "123456", "nr_crm_medico": "123456"}',
    "Long pacienteId = 999L; idade: 66; atendimento_id: 1",
    "cel_epiteliais: 10-15, cep: ausente",
    "OBX|1|NM|2823-3^Potassio||6.1|mmol/L|3.5-5.1|H|||F|||20240312143500\rOBR|1|||58410-2^Hemograma",
    "| PID | nome do segmento |\n| NK1|familiar|",
    "PID|1||||PATIENT_ID||||||",
    "(0008,0020) DA [20240312]\n(0018,0050) DS [1.25]\n(0010,1010) AS [066Y]\n(0010,0010) PN (no value available)",
    r"C:\nome\telefone\notas.txt, \\servidor\uti; \d{3}\.\d{3}\.\d{3}-\d{2}; \textbf{nome}",
    "Caf&eacute; &amp; p&atilde;o; PaO2 &lt; 60; R&D; AT&T; a & b; &#8322;; &inexistente;",
)  # fmt: skip


def typed(text: str) -> tuple[str, list[Found]]:
    """The text without its marks, and what they mark."""
    plain, found = "", []
    for part in re.split(r"(‹[a-z_]+:[^›]*›)", text):
        marked = re.fullmatch(r"‹([a-z_]+):([^›]*)›", part)
        value = marked[2] if marked else part
        if marked:
            found.append((marked[1], len(plain), len(plain) + len(value)))
        plain += value
    return plain, [Found(*each) for each in found]


@pytest.mark.parametrize("text", EXPORTED)
def test_what_an_export_says_is_found_and_nothing_else(text: str) -> None:
    plain, expected = typed(text)
    assert expected
    kinds = [(each.kind, plain[each.start : each.end].lstrip("^PRNH")) for each in find(plain)]
    assert kinds == [(each.kind, plain[each.start : each.end].lstrip("^PRNH")) for each in expected]
    assert [each.end for each in find(plain)] == [each.end for each in expected]


@pytest.mark.parametrize("text", NO_EXPORT)
def test_other_exports_have_no_identifiers(text: str) -> None:
    assert said(text) == []


def test_a_masked_export_is_still_json() -> None:
    text = json.dumps({"nm_paciente": 'Zélia "Ziza" Quadros', "nome_mae": "Zélia O'Hara", "cpf": "529.982.247-25"})
    for each in reversed(find(text)):
        text = f"{text[: each.start]}[X]{text[each.end :]}"
    assert json.loads(text)["nome_mae"] == "[X]"
    assert json.loads(text)["cpf"] == "[X]"


def json_unit(char: str) -> str:
    return json.dumps(char)[1:-1] if ord(char) > 126 else f"\\u{ord(char):04X}"


ESCAPES = st.sampled_from(
    (
        json_unit,
        lambda char: json_unit(char).replace("\\", "\\\\"),
        lambda char: f"&#{ord(char)};",
        lambda char: f"&#x{ord(char):x};",
        lambda char: f"&amp;#{ord(char)};",
        str,
        str,
    )
)
WORDS = st.sampled_from(
    ["CPF ", "529.982.247-25", "12/03/1958", " anos", "66", "tel", "(11)", " 3222-1010", "\n", "Maria", " da ", "Zélia",
     "e\u0301", "\u200b", "½", "ﬁ", "\U0001d400", "Nome: ", ";", '{"nm_paciente": "', '"}', "<nome>", "</nome>",
     "prontuário ", "98765", "PID|1||", "||", "^", "\t", "ana@x.com.br", " ", ","]
)  # fmt: skip


@given(st.data())
def test_escapes_change_nothing_but_the_offsets(data: st.DataObject) -> None:
    plain = "".join(data.draw(st.lists(WORDS, max_size=20)))
    units = [data.draw(ESCAPES)(char) for char in plain]
    places = [0]
    for unit in units:
        places.append(places[-1] + len(unit))
    private = [*NAME, ("record", "98765")]
    expected = [Found(each.kind, places[each.start], places[each.end]) for each in find(plain, private)]
    assert find("".join(units), private) == expected


def test_an_escape_of_a_pair_of_surrogates_is_one_character() -> None:
    text = r'{"nm_paciente": "\ud835\udc00na \ud835\udc01ento", "x": "\ud83d\ude00"}'
    assert said(text) == [("name", r"\ud835\udc00na \ud835\udc01ento")]


# --- time ---

HOSTILE = {
    "digits": "1" * 400_000,
    "digits and spaces": "1 " * 200_000,
    "letters": "a" * 400_000,
    "at signs": "a@" * 150_000,
    "labels": "cpf " * 90_000,
    "phones": "tel " * 60_000,
    "names": "Nome: " + "Ab " * 120_000,
    "the name": "maria " * 60_000,
    "initials": "m. " * 120_000,
    "dates": "12/03/1958 " * 30_000,
    "half a CPF": "123.456." * 45_000,
    "heads": "cpf;" * 90_000,
    "rows": "cpf;nome\n" + "1;2\n" * 80_000,
    "accents": "e\u0301" * 180_000,
    "backslashes": "\\" * 400_000,
    "escapes": r"\u00e9" * 60_000,
    "references": "&amp;" * 80_000,
    "half a reference": "&#1" * 130_000,
    "keys": "nome_paciente: " * 26_000,
    "names of keys": 'nome: "Ab ' * 40_000,
    "tags": "<nome " * 60_000,
    "given": '"given": ["' + 'Ana", "' * 50_000,
    "family": '"family": "Ana", "given": ["Ana"], ' * 10_000,
    "segments": "PID|1|" + "a^b~" * 90_000,
    "many segments": "PID|1||" * 50_000,
    "fhir": '"system": "a' * 30_000,
    "names of fhir": '"name": [{' * 40_000,
    "dicom": "(0010,0010) PN " * 25_000,
    "columns": "nm_paciente;" * 300 + "\n" + "a b;" * 90_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_time_grows_with_the_text_and_no_faster(name: str) -> None:
    text = HOSTILE[name]
    start = time.process_time()
    find(text, [*NAME, ("bed", "12"), ("record", "123456")])
    # Ten times what it takes; a pattern that backtracks takes minutes.
    assert time.process_time() - start < 12


def test_findings_are_values() -> None:
    assert find("CPF 529.982.247-25") == [Found("cpf", 4, 18)]
