package api

import (
	"cmp"
	"context"
	"fmt"

	"github.com/danielgtaylor/huma/v2"

	"github.com/azs-edge/azs-edge/agent/loyalty"
)

func (s *Server) saleRoutes(api huma.API) {
	huma.Register(api, operation(api, "PUT", "/v1/sales/{id}", "openSale", "sale", "Open a sale and reserve points for it",
		"Repeat it until answered: same id and same content give the sale as it stands."), s.openSale)
	huma.Register(api, operation(api, "POST", "/v1/sales/{id}/close", "closeSale", "sale", "Close a sale with what was really sold",
		"Redeems at most what was opened and releases the rest, then accrues. With card, a sale that was never opened is opened and closed at once."), s.closeSale)
	huma.Register(api, operation(api, "POST", "/v1/sales/{id}/void", "voidSale", "sale", "Void an open sale",
		"It never happened: what was reserved is free again. The body may be left out."), s.voidSale)
	huma.Register(api, operation(api, "POST", "/v1/sales/{id}/resolve", "resolveSale", "sale", "Settle a sale that a crash left open",
		"As close or void, and marked as settled afterwards. Ask for GET /v1/sales?state=open after every start of the register."), s.resolveSale)
	huma.Register(api, operation(api, "GET", "/v1/sales/{id}", "getSale", "sale", "A sale as it stands",
		"With its refunds: those that other stations made are among them as far as headquarters is in reach."),
		func(ctx context.Context, r *saleRef) (*out[saleBody], error) {
			id := loyalty.SaleID(r.ID)
			if err := id.Check(); err != nil {
				return nil, s.refuse(err)
			}
			sale, err := s.desk.Sale(ctx, id)
			if err != nil {
				return nil, s.refuse(err)
			}
			return &out[saleBody]{saleBodyOf(sale, s.zone)}, nil
		})
	huma.Register(api, operation(api, "GET", "/v1/sales", "listSales", "sale", "Sales that were opened and neither closed nor void",
		"Oldest first, without their lines."), s.listSales)
}

type listQuery struct {
	State string `query:"state" required:"true" enum:"open"`
	Limit int    `query:"limit" minimum:"1" maximum:"1000" default:"100"`
}

type saleList struct {
	Sales []saleBody `json:"sales" nullable:"false"`
}

func (s *Server) listSales(_ context.Context, q *listQuery) (*out[saleList], error) {
	open, err := s.desk.Unresolved(q.Limit)
	if err != nil {
		return nil, s.refuse(err)
	}
	list := saleList{Sales: make([]saleBody, len(open))}
	for i, sale := range open {
		list.Sales[i] = saleBodyOf(sale, s.zone).brief()
	}
	return &out[saleList]{list}, nil
}

func (s *Server) openSale(ctx context.Context, r *saleIn[openBody]) (*out[saleBody], error) {
	b := &r.Body
	receipt, err := b.Receipt.domain()
	if err != nil {
		return nil, s.refuse(err)
	}
	req := &loyalty.OpenRequest{
		Sale: loyalty.SaleID(r.ID), Card: loyalty.CardNumber(b.Card), Receipt: receipt, Redeem: loyalty.Points(b.Redeem),
		Manual: b.Manual, Who: b.Attendant.domain(),
	}
	if err := req.Check(); err != nil {
		return nil, s.refuse(err)
	}
	sale, err := s.desk.OpenSale(ctx, req)
	return s.done(b.Counter, sale, err)
}

func (s *Server) closeSale(ctx context.Context, r *saleIn[closeBody]) (*out[saleBody], error) {
	b := &r.Body
	receipt, err := b.Receipt.domain()
	if err != nil {
		return nil, s.refuse(err)
	}
	return s.close(ctx, b.Counter, &loyalty.CloseRequest{
		Sale: loyalty.SaleID(r.ID), Card: loyalty.CardNumber(b.Card), Receipt: receipt, Redeem: loyalty.Points(b.Redeem),
		Manual: b.Manual, Who: b.Attendant.domain(),
	})
}

func (s *Server) voidSale(ctx context.Context, r *saleIn[*voidBody]) (*out[saleBody], error) {
	var b voidBody // all of it may be left out, the body as well
	if r.Body != nil {
		b = *r.Body
	}
	return s.void(ctx, b.Counter, &loyalty.VoidRequest{Sale: loyalty.SaleID(r.ID), Reason: b.Reason, Who: b.Attendant.domain()})
}

func (s *Server) resolveSale(ctx context.Context, r *saleIn[resolveBody]) (*out[saleBody], error) {
	b := &r.Body
	id, who := loyalty.SaleID(r.ID), b.Attendant.domain()
	switch {
	case b.Outcome == "void":
		return s.void(ctx, b.Counter, &loyalty.VoidRequest{Sale: id, Reason: b.Reason, Resolved: true, Who: who})
	case b.Receipt == nil:
		return nil, s.refuse(fmt.Errorf("%w: outcome closed needs the receipt as it was really sold", loyalty.BadRequest))
	}
	receipt, err := b.Receipt.domain()
	if err != nil {
		return nil, s.refuse(err)
	}
	return s.close(ctx, b.Counter, &loyalty.CloseRequest{
		Sale: id, Receipt: receipt, Redeem: loyalty.Points(b.Redeem), Resolved: true, Who: who,
	})
}

func (s *Server) close(ctx context.Context, counter string, req *loyalty.CloseRequest) (*out[saleBody], error) {
	if err := req.Check(); err != nil {
		return nil, s.refuse(err)
	}
	sale, err := s.desk.CloseSale(ctx, req)
	return s.done(counter, sale, err)
}

func (s *Server) void(ctx context.Context, counter string, req *loyalty.VoidRequest) (*out[saleBody], error) {
	if err := req.Check(); err != nil {
		return nil, s.refuse(err)
	}
	sale, err := s.desk.VoidSale(ctx, req)
	return s.done(counter, sale, err)
}

// done answers a step of a sale and tells the counter's listeners. A repeated call tells them again: they know the sale
// by its id.
func (s *Server) done(counter string, sale *loyalty.Sale, err error) (*out[saleBody], error) {
	if err != nil {
		return nil, s.refuse(err)
	}
	b := saleBodyOf(sale, s.zone)
	s.hub.Publish(saleChanged{counter: cmp.Or(counter, b.Counter), sale: b.brief()})
	return &out[saleBody]{b}, nil
}

// refuse turns an error into its problem, and logs what the caller is not told.
func (s *Server) refuse(err error) *Problem {
	p := problemOf(err)
	if p.log != nil {
		s.log.Error("call failed", "code", p.Code, "error", p.log)
	}
	return p
}
