package screen

import (
	"strings"
	"sync"
)

// Words that many names bear say little. How rare a word is comes from the index's own
// counts; these lists say what is known before a single name was counted, as if
// [priorNames] names had been: they are what lists of companies and people everywhere are
// full of, written down by hand, in the form that [Tokens] gives.

// A kind of word decides what it costs where only one name has it.
type wordKind uint8

const (
	kindWord     wordKind = iota
	kindGeneric           // says what somebody does, not who it is: bank, trading
	kindForm              // company, group: nearly a legal form
	kindParticle          // of, and, bin, van
	kindTitle             // dr, sheikh
	kindPlace             // a country
	kindNumber            // digits, a Roman numeral, a number in words
	kindInitial           // one letter
)

// particles join other words.
const particles = `a al el ul ol as ad an the of and or for in on at de del della dello dei degli da di do dos das du des d
	den der die das dem la le les los las lo l van von zu zur ter ten te y e et und og och i bin ibn ben bint bent abu abou bou
	ould ibnu ap mac mc o san santa st saint pri po na dlya pour fur mit with by to from s`

// titles precede a person's name and are not part of it.
const titles = `mr mrs ms miss dr prof professor sir dame lord lady rev reverend hon honorable gen col colonel
	maj major capt captain cpt lt lieutenant sgt sergeant admiral brig brigadier marshal field commander eng engineer ing
	shaikh sheikh shaykh sheik shaik cheikh haji hajji hajj al-haj alhaj hajja mullah mulla maulavi mawlawi maulawi molvi qari
	imam ayatollah hojjatoleslam sayyid sayyed sayed seyed seyyed syed said ustad mufti hafiz king queen prince princess
	president minister jr sr phd md esq fnu lnu herr frau monsieur madame senor senora don dona pan pani gospodin`

// forms name what sort of body it is, in words that are no legal form by law.
const forms = `company companies co corporation corp group gruppe grupo groupe gruppa holding holdings limited ltd inc incorporated
	enterprise enterprises firm compania compagnie companhia kompaniya kompaniia korporatsiya korporatsiia gesellschaft organization
	organisation organizatsiya organizatsiia establishment public private joint stock llc plc partners partnership associates
	society societe sociedad obshchestvo unternehmen gongsi jituan`

// generics are words of business, offices and bodies of any kind.
const generics = `bank banco banque banca trading trade trust fund funds capital finance financial investment investments
	investments insurance industry industries industrial international national global world worldwide general services service
	solutions systems system technology technologies tech technical engineering construction contracting development management
	consulting consultancy communications communication telecom telecommunications media network networks digital data online
	internet cloud hosting host server servers web net software electronics electronic electric electrical energy power oil gas
	petroleum petrochemical petrochemicals chemical chemicals steel metal metals mining minerals machinery equipment motor motors
	automotive auto shipping ship ships marine maritime lines line navigation transport transportation logistics cargo freight
	forwarding airlines airline air aviation airways aerospace space import export imports exports commercial commerce
	business market marketing supply supplies products product production manufacturing factory plant works textile textiles
	food foods agriculture agricultural farm pharmaceutical pharmaceuticals pharma medical health healthcare hospital center
	centre central institute institution university academy college school research science scientific laboratory foundation
	association federation union council committee commission ministry department agency office bureau authority government state
	federal republic islamic democratic peoples people party front movement army brigade brigades force forces defense defence
	security military police islam new old great first north northern south southern east eastern west western middle real
	estate property properties house home hotel hotels tourism travel club sports entertainment film radio tv television press
	news print printing publishing shop store stores retail wholesale pacific atlantic asia asian europe european africa african
	america american gulf arab arabian mediterranean caspian black red sea star golden gold royal city port airport sons
	brothers son project projects design creative studio lab labs express direct plus pro one mobile telekom comercial
	comercializadora inversiones inmobiliaria industrias servicios transportes distribuidora agropecuaria constructora importadora
	exportadora empresa asociacion fundacion instituto sharika muassasa torgovyi dom zavod nauchno proizvodstvennoe
	predpriyatie predpriiatie obedinenie tsentr bank`

// commonNames are given and family names that very many people bear.
const commonNames = `mohammad mohammed muhammad muhammed mohamed mohamad mohamud mahmoud mahmud mehmet ahmad ahmed ali hasan hassan
	husayn hussein hussain husain hossein ibrahim ismail yusuf yousef omar umar othman osman abdul abd abdel abdallah abdullah
	abdulla abdurrahman rahman rahim karim aziz latif hamid majid salim salem saleh salih khalid khaled jamal kamal mustafa
	mostafa musa isa yahya yasin taha khan shah hajj reza mahdi mehdi amir abbas jafar haydar kazem din allah ullah malik
	kim ri li lee pak park choe choi chong jong yong song chol sok hyon myong kwang chang wang zhang chen liu yang huang zhao wu
	zhou xu sun ma zhu hu lin guo he gao wei jin ping ming hua xiao jian john james robert michael william david richard joseph
	thomas charles daniel paul mark george peter martin anna maria mary marie elizabeth smith johnson williams brown jones
	miller davis garcia rodriguez martinez hernandez lopez gonzalez perez sanchez ramirez torres jose juan carlos luis jorge
	francisco antonio manuel pedro miguel alejandro fernando rafael javier diego jesus silva santos ivan ivanov aleksandr alexander
	vladimir sergei sergey dmitri dmitry andrei andrey alexey aleksei alexei mikhail nikolai nikolay yuri yury iurii viktor victor
	vladimirovich aleksandrovich sergeevich ivanovich nikolaevich petrovich mikhailovich hans friedrich karl jean pierre michel
	jacques francois nguyen tran singh kumar muhammad ben nasser nasir said saeed hadi hakim nur noor`

// places are words of countries' names in English, and some more that names of bodies have for
// where they are.
const places = `afghanistan albania algeria andorra angola argentina armenia aruba australia austria azerbaijan bahamas bahrain
	bangladesh barbados belarus belgium belize benin bermuda bhutan bolivia bosnia botswana brasil brazil britain brunei bulgaria
	burkina burma burundi cambodia cameroon canada chad chile china colombia comoros congo costa croatia cuba curacao cyprus czech
	czechia danmark denmark deutschland djibouti dominica dominican ecuador egypt emirates england eritrea espana estonia eswatini
	ethiopia fiji finland france gabon gambia georgia germany ghana gibraltar greece greenland grenada guam guatemala guernsey
	guinea guyana haiti herzegovina honduras hong hongkong hungary iceland india indonesia iran iraq ireland israel italia italy
	jamaica japan jersey jordan kazakhstan kenya kiribati kong korea kosovo kuwait kyrgyzstan laos latvia lebanon lesotho liberia
	libya liechtenstein lithuania luxembourg macao macau macedonia madagascar malawi malaysia maldives mali malta mauritania
	mauritius mexico micronesia moldova monaco mongolia montenegro morocco mozambique myanmar namibia nauru nepal netherlands
	nicaragua niger nigeria norge norway oman osterreich pakistan palau palestine panama papua paraguay peru philippines poland
	polska portugal qatar rica romania russia rwanda salvador samoa schweiz scotland senegal serbia seychelles singapore slovakia
	slovenia somalia spain sudan suisse suriname sverige svizzera sweden switzerland syria taiwan tajikistan tanzania thailand
	timor togo tonga trinidad tunisia turkey turkiye turkmenistan tuvalu uae uganda ukraine uruguay usa uzbekistan vanuatu
	vatican venezuela vietnam wales yemen zambia zealand zimbabwe`

// branches are more words for where a part of a body is: a branch's city, short names, and what a branch is
// called. They are no keys' matter.
const branches = `uk gb us eu emea apac mena nordic nordics benelux iberia dach cis branch filiale filial niederlassung zweigniederlassung
	zweigstelle succursale sucursal filiaal oddzial oddelenie amsterdam ankara antwerp athens bangkok barcelona beijing beirut berlin
	berne bern brussels bucharest budapest cairo casablanca chicago cologne copenhagen damascus dubai dublin dusseldorf edinburgh
	frankfurt geneva glasgow hamburg hanoi helsinki istanbul jakarta johannesburg karachi kyiv kiev lagos leipzig lisbon ljubljana london
	lyon madrid manchester manila marseille melbourne miami milan milano montreal moscow moskva mumbai munich munchen nairobi
	oslo paris prague praha riga roma rome rotterdam santiago shanghai shenzhen sofia stockholm stuttgart sydney tallinn tehran
	tokyo toronto vienna vilnius warsaw warszawa wien yerevan zagreb zurich`

// nicknames has a line for each given name: the short forms and spellings that stand for it
// in English and Russian.
const nicknames = `alexander alex alec sandy sasha aleksandr alexandr aleksander iskander
	andrew andy drew andrei andrey
	anthony tony antonio anton
	barack barry
	benjamin ben benny
	catherine katherine kathryn kate kathy katie cathy
	charles charlie chuck karl carlos
	christopher chris
	daniel dan danny
	david dave davy
	dmitri dima dmitry dmitriy dmitrii
	donald don donnie
	edward ed eddie ted
	elizabeth liz beth betty lisa eliza
	eugene gene yevgeny evgeny evgeni evgenii yevgeniy
	francis frank
	frederick fred freddy friedrich frederic
	george jorge georg georgy georgi georgii yuri
	gregory greg grigory grigori
	henry harry hank heinrich
	jacob jake
	james jim jimmy jamie
	john jack johnny juan ivan jean johann giovanni
	joseph joe jose josef yosef yusuf
	joshua josh
	kenneth ken
	lawrence larry
	leonard leo len
	margaret maggie meg peggy
	matthew matt
	michael mike mick mikhail misha michel miguel
	nicholas nick nikolai nikolay nicolas
	patrick pat
	paul pavel pablo
	peter pete pyotr petr pedro pierre
	philip phil
	richard rick dick rich
	robert bob rob bobby bert
	ronald ron
	samuel sam
	stephen steve steven stefan esteban
	susan sue susie
	theodore ted theo fyodor fedor
	thomas tom tommy
	timothy tim
	vincent vince
	vladimir volodymyr vova
	walter walt
	william bill billy will liam wilhelm`

// numberWords are numbers as words, from 0 on; ordinals are those from 1 on.
const (
	numberWords = `zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen
	seventeen eighteen nineteen twenty`
	ordinals = `first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth fifteenth
	sixteenth seventeenth eighteenth nineteenth twentieth`
)

// tens are 20, 30, …, 90. A number below ten may follow, as a word of its own or in the same one.
const tens = `twenty thirty forty fifty sixty seventy eighty ninety`

// A word is what the lists say of one.
type word struct {
	kind wordKind
	bits int // prior information, in 1/16 bit
}

// Prior information of a word, in 1/16 bit: a word of the lists is borne by one name in
// 2^(bits/16), one that nobody has listed by one in [priorNames].
const (
	bitsParticle = 1 * 16
	bitsForm     = 2 * 16
	bitsGeneric  = 5 * 16
	bitsPlace    = 6 * 16
	bitsCommon   = 7 * 16
	bitsRare     = 10 * 16 // from here on few names bear a word
	bitsWord     = 13 * 16
	priorNames   = 1 << 13
)

var wordTable = sync.OnceValue(func() map[string]word {
	words := make(map[string]word)
	for _, list := range []struct {
		text string
		word
	}{
		{places, word{kindPlace, bitsPlace}},
		{commonNames, word{kindWord, bitsCommon}},
		{generics, word{kindGeneric, bitsGeneric}},
		{forms, word{kindForm, bitsForm}},
		{titles, word{kindTitle, bitsForm}},
		{particles, word{kindParticle, bitsParticle}},
	} {
		for w := range strings.FieldsSeq(list.text) {
			words[w] = list.word
		}
	}
	return words
})

// nicknameGroups has, for a name of [nicknames], the numbers of the lines that it stands on.
var nicknameGroups = sync.OnceValue(func() map[string]uint64 {
	groups := make(map[string]uint64)
	for i, line := range strings.Split(nicknames, "\n") {
		for w := range strings.FieldsSeq(line) {
			groups[w] |= 1 << i
		}
	}
	return groups
})

// branchTable has the words that say where a part of a body is.
var branchTable = sync.OnceValue(func() map[string]bool {
	words := make(map[string]bool)
	for w := range strings.FieldsSeq(places + " " + branches) {
		words[w] = true
	}
	return words
})
